//! SHA-256 over the buffer ABI: every function takes (pointer, length) and gives pointer << 32 | length.
//!
//! - `sha256`: JSON, either a text or `{ "data": text, "encoding": "utf8" | "base64" | "hex" }`. Gives the digest as a JSON text in hex.
//! - `process`: the bytes themselves. Gives the digest of these alone, as above.
//! - `update` and `finish`: a stream, chunk by chunk; `update` gives nothing, `finish` the digest of all chunks.
//!
//! Bad arguments end the call with exit code 1 and a line on standard error.
#![no_std]

use core::arch::wasm32::{memory_grow, memory_size, unreachable};
use core::slice;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unreachable()
}

#[repr(C)]
struct Vector {
    start: *const u8,
    len: usize,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
extern "C" {
    fn fd_write(fd: i32, vectors: *const Vector, count: usize, written: *mut usize) -> i32;
    fn proc_exit(code: i32) -> !;
}

fn refuse(message: &str) -> ! {
    let mut written = 0;
    unsafe {
        fd_write(2, &Vector { start: message.as_ptr(), len: message.len() }, 1, &mut written);
        proc_exit(1)
    }
}

// ── Memory: blocks one behind the other; once all are given back, from the beginning again ──

extern "C" {
    static __heap_base: u8;
}
static mut NEXT: usize = 0;
static mut LIVE: usize = 0;
const PAGE: usize = 65536;

fn base() -> usize {
    unsafe { (&__heap_base as *const u8 as usize + 15) & !15 }
}

/// Gives 0 where there is no memory left.
#[no_mangle]
pub extern "C" fn alloc(len: usize) -> usize {
    unsafe {
        let start = if LIVE == 0 { base() } else { NEXT };
        let end = match start.checked_add(len) {
            Some(end) if end <= 0xffff_0000 => (end + 15) & !15,
            _ => return 0,
        };
        let have = memory_size(0) * PAGE;
        if end > have && memory_grow(0, (end - have + PAGE - 1) / PAGE) == usize::MAX {
            return 0;
        }
        NEXT = end;
        LIVE += 1;
        start
    }
}

#[no_mangle]
pub extern "C" fn dealloc(pointer: usize, len: usize) {
    unsafe {
        LIVE = LIVE.saturating_sub(1);
        if ((pointer + len + 15) & !15) == NEXT {
            NEXT = pointer;
        }
    }
}

// ── SHA-256 (FIPS 180-4) ──

const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

struct Sha256 {
    state: [u32; 8],
    block: [u8; 64],
    filled: usize,
    length: u64,
}

impl Sha256 {
    const fn new() -> Self {
        Sha256 {
            state: [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19],
            block: [0; 64],
            filled: 0,
            length: 0,
        }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if self.filled > 0 {
            let taken = bytes.len().min(64 - self.filled);
            self.block[self.filled..self.filled + taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled < 64 {
                return;
            }
            compress(&mut self.state, &self.block);
            self.filled = 0;
        }
        let mut blocks = bytes.chunks_exact(64);
        for block in &mut blocks {
            compress(&mut self.state, block);
        }
        let rest = blocks.remainder();
        self.block[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    fn finish(mut self) -> [u32; 8] {
        let bits = self.length * 8;
        self.block[self.filled] = 0x80;
        self.block[self.filled + 1..].fill(0);
        if self.filled >= 56 {
            compress(&mut self.state, &self.block);
            self.block = [0; 64];
        }
        self.block[56..].copy_from_slice(&bits.to_be_bytes());
        compress(&mut self.state, &self.block);
        self.state
    }
}

fn compress(state: &mut [u32; 8], block: &[u8]) {
    let mut w = [0u32; 16];
    for (word, bytes) in w.iter_mut().zip(block.chunks_exact(4)) {
        *word = u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    macro_rules! round {
        ($a:ident $b:ident $c:ident $d:ident $e:ident $f:ident $g:ident $h:ident, $t:expr, $i:expr) => {
            let t1 = $h
                .wrapping_add($e.rotate_right(6) ^ $e.rotate_right(11) ^ $e.rotate_right(25))
                .wrapping_add($g ^ ($e & ($f ^ $g)))
                .wrapping_add(K[$t + $i])
                .wrapping_add(w[$i]);
            let t2 = ($a.rotate_right(2) ^ $a.rotate_right(13) ^ $a.rotate_right(22)).wrapping_add(($a & $b) | ($c & ($a | $b)));
            $d = $d.wrapping_add(t1);
            $h = t1.wrapping_add(t2);
        };
    }
    let mut t = 0;
    loop {
        round!(a b c d e f g h, t, 0);
        round!(h a b c d e f g, t, 1);
        round!(g h a b c d e f, t, 2);
        round!(f g h a b c d e, t, 3);
        round!(e f g h a b c d, t, 4);
        round!(d e f g h a b c, t, 5);
        round!(c d e f g h a b, t, 6);
        round!(b c d e f g h a, t, 7);
        round!(a b c d e f g h, t, 8);
        round!(h a b c d e f g, t, 9);
        round!(g h a b c d e f, t, 10);
        round!(f g h a b c d e, t, 11);
        round!(e f g h a b c d, t, 12);
        round!(d e f g h a b c, t, 13);
        round!(c d e f g h a b, t, 14);
        round!(b c d e f g h a, t, 15);
        t += 16;
        if t == 64 {
            break;
        }
        macro_rules! next {
            ($($i:literal)*) => {$(
                let x = w[($i + 1) % 16];
                let y = w[($i + 14) % 16];
                w[$i] = w[$i]
                    .wrapping_add(x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3))
                    .wrapping_add(w[($i + 9) % 16])
                    .wrapping_add(y.rotate_right(17) ^ y.rotate_right(19) ^ (y >> 10));
            )*};
        }
        next!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    }
    for (word, add) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = word.wrapping_add(add);
    }
}

// ── The functions ──

fn taken(pointer: usize, len: usize) -> &'static mut [u8] {
    if len == 0 {
        return &mut [];
    }
    unsafe { slice::from_raw_parts_mut(pointer as *mut u8, len) }
}

/// A JSON text, so that whoever reads it as JSON never takes a digest for a number.
fn hex(digest: [u32; 8]) -> u64 {
    let pointer = alloc(66);
    if pointer == 0 {
        refuse("there is no memory left for the result\n");
    }
    let out = taken(pointer, 66);
    out[0] = b'"';
    out[65] = b'"';
    for (index, place) in out[1..65].iter_mut().enumerate() {
        *place = b"0123456789abcdef"[(digest[index / 8] >> (28 - 4 * (index % 8)) & 15) as usize];
    }
    (pointer as u64) << 32 | 66
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hash = Sha256::new();
    hash.update(bytes);
    hex(hash.finish())
}

#[no_mangle]
pub extern "C" fn process(pointer: usize, len: usize) -> u64 {
    digest(taken(pointer, len))
}

static mut STREAM: Sha256 = Sha256::new();

#[no_mangle]
pub extern "C" fn update(pointer: usize, len: usize) -> u64 {
    unsafe { STREAM.update(taken(pointer, len)) };
    0
}

#[no_mangle]
pub extern "C" fn finish() -> u64 {
    hex(unsafe { core::mem::replace(&mut STREAM, Sha256::new()) }.finish())
}

#[no_mangle]
pub extern "C" fn sha256(pointer: usize, len: usize) -> u64 {
    let mut json = Json { text: taken(pointer, len), at: 0 };
    let (data, encoding) = json.arguments();
    let bytes = taken(data.0, data.1);
    match encoding {
        Encoding::Utf8 => digest(bytes),
        Encoding::Hex => {
            let len = from_hex(bytes);
            digest(&bytes[..len])
        }
        Encoding::Base64 => {
            let len = from_base64(bytes);
            digest(&bytes[..len])
        }
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Utf8,
    Hex,
    Base64,
}

const USAGE: &str = "sha256 takes a text, or { \"data\": a text, \"encoding\": \"utf8\", \"base64\" or \"hex\" } and nothing else\n";

/// Reads JSON that the host wrote. Texts are unescaped where they stand, since they only become shorter.
struct Json {
    text: &'static mut [u8],
    at: usize,
}

impl Json {
    fn peek(&mut self) -> u8 {
        while self.at < self.text.len() && matches!(self.text[self.at], b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
        if self.at < self.text.len() { self.text[self.at] } else { 0 }
    }

    fn expect(&mut self, byte: u8) {
        if self.peek() != byte {
            refuse(USAGE);
        }
        self.at += 1;
    }

    fn arguments(&mut self) -> ((usize, usize), Encoding) {
        let mut data = None;
        let mut encoding = Encoding::Utf8;
        if self.peek() == b'"' {
            data = Some(self.string());
        } else {
            self.expect(b'{');
            loop {
                let key = self.string();
                self.expect(b':');
                let value = self.string();
                match &*taken(key.0, key.1) {
                    b"data" => data = Some(value),
                    b"encoding" => {
                        encoding = match &*taken(value.0, value.1) {
                            b"utf8" => Encoding::Utf8,
                            b"hex" => Encoding::Hex,
                            b"base64" => Encoding::Base64,
                            _ => refuse(USAGE),
                        }
                    }
                    _ => refuse(USAGE),
                }
                if self.peek() == b'}' {
                    self.at += 1;
                    break;
                }
                self.expect(b',');
            }
        }
        if self.peek() != 0 || self.at != self.text.len() {
            refuse(USAGE);
        }
        match data {
            Some(data) => (data, encoding),
            None => refuse(USAGE),
        }
    }

    /// Where a text stands and how long it is.
    fn string(&mut self) -> (usize, usize) {
        self.expect(b'"');
        let start = self.at;
        let mut out = start;
        loop {
            let byte = self.next();
            match byte {
                b'"' => return (self.text.as_ptr() as usize + start, out - start),
                b'\\' => {
                    let plain = match self.next() {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 8,
                        b'f' => 12,
                        b'u' => {
                            out = self.code_point(out);
                            continue;
                        }
                        other => other,
                    };
                    self.text[out] = plain;
                }
                _ => self.text[out] = byte,
            }
            out += 1;
        }
    }

    fn next(&mut self) -> u8 {
        if self.at >= self.text.len() {
            refuse(USAGE);
        }
        self.at += 1;
        self.text[self.at - 1]
    }

    fn unit(&mut self) -> u32 {
        (0..4).fold(0, |unit, _| unit << 4 | nibble(self.next()) as u32)
    }

    fn code_point(&mut self, out: usize) -> usize {
        let mut code = self.unit();
        if code >> 10 == 0xd800 >> 10 {
            let escaped = self.next() == b'\\' && self.next() == b'u';
            let low = if escaped { self.unit() } else { 0 };
            code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
            if low >> 10 != 0xdc00 >> 10 {
                refuse("the text holds half of a character\n");
            }
        }
        match char::from_u32(code) {
            Some(char) => out + char.encode_utf8(&mut self.text[out..out + 4]).len(),
            None => refuse("the text holds half of a character\n"),
        }
    }
}

fn nibble(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'a'..=b'f' => byte - b'a' + 10,
        b'A'..=b'F' => byte - b'A' + 10,
        _ => refuse("the data is not hexadecimal\n"),
    }
}

fn from_hex(bytes: &mut [u8]) -> usize {
    if bytes.len() % 2 != 0 {
        refuse("the data is not hexadecimal: it has an odd number of digits\n");
    }
    for index in 0..bytes.len() / 2 {
        bytes[index] = nibble(bytes[2 * index]) << 4 | nibble(bytes[2 * index + 1]);
    }
    bytes.len() / 2
}

fn from_base64(bytes: &mut [u8]) -> usize {
    let padding = bytes.iter().rev().take(2).take_while(|&&byte| byte == b'=').count();
    let digits = bytes.len() - padding;
    if digits % 4 == 1 || (padding > 0 && bytes.len() % 4 != 0) {
        refuse("the data is not base64: it has a wrong length\n");
    }
    let mut out = 0;
    let mut bits = 0u32;
    for index in 0..digits {
        let digit = match bytes[index] {
            byte @ b'A'..=b'Z' => byte - b'A',
            byte @ b'a'..=b'z' => byte - b'a' + 26,
            byte @ b'0'..=b'9' => byte - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => refuse("the data is not base64\n"),
        };
        bits = bits << 6 | digit as u32;
        if index % 4 > 0 {
            bytes[out] = (bits >> (6 - 2 * (index % 4))) as u8;
            out += 1;
        }
    }
    out
}
