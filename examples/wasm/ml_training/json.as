// JSON as far as training data needs it: every value is kept, texts only as they are written.

export class Value {
  /** Of an object. */
  keys: string[] = [];
  /** Of an object or list. */
  items: Value[] = [];
  number: f64 = NaN;
  text: string = '';
  isObject: bool = false;
  isList: bool = false;
  isNumber: bool = false;

  get(key: string): Value | null {
    for (let index = 0; index < this.keys.length; index++) if (this.keys[index] == key) return this.items[index];
    return null;
  }

  first(keys: string[]): Value | null {
    for (let index = 0; index < keys.length; index++) {
      const value = this.get(keys[index]);
      if (value != null) return value;
    }
    return null;
  }
}

export class Reader {
  at: usize;
  end: usize;
  depth: i32 = 0;

  constructor(pointer: usize, length: usize) {
    this.at = pointer;
    this.end = pointer + length;
  }

  peek(): i32 {
    while (this.at < this.end) {
      const byte = <i32>load<u8>(this.at);
      if (byte != 0x20 && byte != 0x0a && byte != 0x0d && byte != 0x09) return byte;
      this.at++;
    }
    return -1;
  }

  whole(): Value {
    const value = this.value();
    if (this.peek() != -1) throw new Error('the arguments are not JSON');
    return value;
  }

  value(): Value {
    const byte = this.peek();
    const value = new Value();
    if (byte == 0x7b || byte == 0x5b) this.container(value, byte == 0x7b);
    else if (byte == 0x22) value.text = this.string();
    else if (byte == 0x2d || (byte >= 0x30 && byte <= 0x39)) {
      value.isNumber = true;
      value.number = this.number();
    } else value.text = this.word();
    return value;
  }

  private container(value: Value, isObject: bool): void {
    value.isObject = isObject;
    value.isList = !isObject;
    const close = isObject ? 0x7d : 0x5d;
    if (++this.depth > 64) throw new Error('the arguments are nested too deep');
    this.at++;
    if (this.peek() == close) this.at++;
    else
      while (true) {
        if (isObject) {
          if (this.peek() != 0x22) throw new Error('the arguments are not JSON');
          value.keys.push(this.string());
          if (this.peek() != 0x3a) throw new Error('the arguments are not JSON');
          this.at++;
        }
        value.items.push(this.value());
        const next = this.peek();
        this.at++;
        if (next == close) break;
        if (next != 0x2c) throw new Error('the arguments are not JSON');
      }
    this.depth--;
  }

  private string(): string {
    const start = ++this.at;
    while (this.at < this.end && load<u8>(this.at) != 0x22) this.at += load<u8>(this.at) == 0x5c ? 2 : 1;
    if (this.at >= this.end) throw new Error('the arguments are not JSON');
    return String.UTF8.decodeUnsafe(start, this.at++ - start);
  }

  private word(): string {
    const start = this.at;
    while (this.at < this.end && load<u8>(this.at) >= 0x61 && load<u8>(this.at) <= 0x7a) this.at++;
    if (this.at == start) throw new Error('the arguments are not JSON');
    return String.UTF8.decodeUnsafe(start, this.at - start);
  }

  /** Exact for up to 15 digits and small exponents, which is what people write; else as the language reads it. */
  private number(): f64 {
    const start = this.at;
    let digits: u64 = 0;
    let count = 0;
    let exponent = 0;
    let plain = true;
    let fraction = false;
    while (this.at < this.end) {
      const byte = <i32>load<u8>(this.at);
      if (byte >= 0x30 && byte <= 0x39) {
        if (digits > 0 || byte > 0x30) count++;
        if (count <= 18) digits = digits * 10 + (byte - 0x30);
        if (fraction) exponent--;
      } else if (byte == 0x2e) fraction = true;
      else if (byte == 0x65 || byte == 0x45) plain = false;
      else if (byte != 0x2d && byte != 0x2b) break;
      this.at++;
    }
    if (!plain || count > 15 || exponent < -22) return parseFloat(String.UTF8.decodeUnsafe(start, this.at - start));
    let scale: f64 = 1;
    for (let power = exponent; power < 0; power++) scale *= 10;
    const size = <f64>digits / scale;
    return load<u8>(start) == 0x2d ? -size : size;
  }
}
