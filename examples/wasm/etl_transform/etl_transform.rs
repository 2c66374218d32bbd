//! Merges and transforms rows, over the buffer ABI: every function takes (pointer, length) and gives pointer << 32 | length.
//!
//! `merge_and_transform`: JSON `{ "sources": [rows, …], "on": field, "how": "full" | "inner" | "left", … }`. Rows of all sources that have the
//! same value of `on` become one; of fields that several have the last source's count. `full` (default) keeps every value of `on`, `inner` those
//! that all sources have, `left` those of the first. Rows without a value of `on` (or with null) are left out and counted.
//!
//! `transform` (and `process`): JSON `{ "rows": rows, … }`, or the rows alone.
//!
//! Both then do, in this order, what is given of
//! - `compute`: `{ field: { "op": "add" | "subtract" | "multiply" | "divide" | "concat", "of": [field, …] } }`; null where a value is missing
//! - `where`: `[{ "field", "op": "eq" | "ne" | "lt" | "le" | "gt" | "ge", "value" }]`; all must hold
//! - `sort`: field, or `{ "field", "descending": true }`: numbers by size before texts by code point, others last; equal ones stay in order
//! - `select`: `[field, …]`, or `drop`: `[field, …]`
//! - `rename`: `{ old: new }`
//!
//! Gives `{ "rows", "count", "without_key" }`. Values that are not computed with stay as they are written, whatever their size. Values are
//! equal if they are written alike, as they are in canonical JSON.
//!
//! Bad arguments end the call with exit code 1 and a line on standard error.
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt::Write;

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
        fd_write(2, &Vector { start: b"\n".as_ptr(), len: 1 }, 1, &mut written);
        proc_exit(1)
    }
}

#[no_mangle]
pub extern "C" fn alloc(len: usize) -> *mut u8 {
    let layout = std::alloc::Layout::from_size_align(len.max(1), 1).unwrap();
    unsafe { std::alloc::alloc(layout) }
}

#[no_mangle]
pub extern "C" fn dealloc(pointer: *mut u8, len: usize) {
    let layout = std::alloc::Layout::from_size_align(len.max(1), 1).unwrap();
    unsafe { std::alloc::dealloc(pointer, layout) }
}

// ── JSON: texts of values, as they are written ──

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

const NOT_JSON: &str = "the arguments are not JSON";

impl<'a> Reader<'a> {
    fn new(text: &'a str) -> Self {
        Reader { text, at: 0, depth: 0 }
    }

    fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while self.at < bytes.len() && matches!(bytes[self.at], b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
        bytes.get(self.at).copied().unwrap_or(0)
    }

    fn expect(&mut self, byte: u8) {
        if self.peek() != byte {
            refuse(NOT_JSON);
        }
        self.at += 1;
    }

    /// The text of the next value.
    fn value(&mut self) -> &'a str {
        let first = self.peek();
        let start = self.at;
        match first {
            b'"' => self.skip_string(),
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth > 200 {
                    refuse("the arguments are nested too deep");
                }
                self.items(first == b'{', |reader, _| {
                    reader.value();
                });
                self.depth -= 1;
            }
            _ => {
                let bytes = self.text.as_bytes();
                while self.at < bytes.len() && matches!(bytes[self.at], b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.') {
                    self.at += 1;
                }
                if self.at == start {
                    refuse(NOT_JSON);
                }
            }
        }
        &self.text[start..self.at]
    }

    fn skip_string(&mut self) {
        self.expect(b'"');
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(_) => self.at += 1,
                None => refuse(NOT_JSON),
            }
        }
        self.at += 1;
    }

    /// Calls `each`, which must read a value, for every item; with the key and its quotes in an object.
    fn items(&mut self, object: bool, mut each: impl FnMut(&mut Self, &'a str)) {
        let (open, close) = if object { (b'{', b'}') } else { (b'[', b']') };
        self.expect(open);
        if self.peek() == close {
            self.at += 1;
            return;
        }
        loop {
            let mut key = "";
            if object {
                self.peek();
                let start = self.at;
                self.skip_string();
                key = &self.text[start..self.at];
                self.expect(b':');
            }
            each(self, key);
            if self.peek() == close {
                self.at += 1;
                return;
            }
            self.expect(b',');
        }
    }

    fn end(&mut self) {
        if self.peek() != 0 || self.at != self.text.len() {
            refuse(NOT_JSON);
        }
    }
}

fn is_string(value: &str) -> bool {
    value.starts_with('"')
}

/// The items of a list, or of an object with their keys.
fn entries<'a>(value: &'a str, object: bool, what: &str) -> Vec<(&'a str, &'a str)> {
    if !value.starts_with(if object { '{' } else { '[' }) {
        refuse(&format!("{} must be {}", what, if object { "an object" } else { "a list" }));
    }
    let mut found = Vec::new();
    Reader::new(value).items(object, |reader, key| {
        let item = reader.value();
        found.push((key, item));
    });
    found
}

fn text<'a>(value: &'a str, what: &str) -> &'a str {
    if !is_string(value) {
        refuse(&format!("{} must be a text", what));
    }
    value
}

fn number(value: &str) -> Option<f64> {
    if matches!(value.as_bytes()[0], b'-' | b'0'..=b'9') { value.parse().ok() } else { None }
}

// ── Rows ──

/// Text of a value: of the input, or computed.
#[derive(Clone)]
enum Cell<'a> {
    Given(&'a str),
    Made(String),
}

impl Cell<'_> {
    fn text(&self) -> &str {
        match self {
            Cell::Given(text) => text,
            Cell::Made(text) => text,
        }
    }
}

type Row<'a> = Vec<(&'a str, Cell<'a>)>;

fn get<'r>(row: &'r Row, key: &str) -> Option<&'r str> {
    row.iter().find(|(name, _)| *name == key).map(|(_, cell)| cell.text())
}

fn set<'a>(row: &mut Row<'a>, key: &'a str, cell: Cell<'a>) {
    match row.iter_mut().find(|(name, _)| *name == key) {
        Some(place) => place.1 = cell,
        None => row.push((key, cell)),
    }
}

fn read_rows<'a>(value: &'a str, what: &str) -> Vec<Row<'a>> {
    entries(value, false, what)
        .into_iter()
        .map(|(_, row)| entries(row, true, "a row").into_iter().map(|(key, cell)| (key, Cell::Given(cell))).collect())
        .collect()
}

fn merge<'a>(sources: Vec<Vec<Row<'a>>>, on: &str, how: &str) -> (Vec<Row<'a>>, usize) {
    let count = sources.len();
    let mut merged: Vec<(Row, usize, bool)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    let mut without = 0;
    for (index, source) in sources.into_iter().enumerate() {
        for row in source {
            let key = match get(&row, on) {
                None | Some("null") => {
                    without += 1;
                    continue;
                }
                Some(key) => key.to_string(),
            };
            match places.get(&key) {
                None => {
                    places.insert(key, merged.len());
                    // In how many sources it was, counted as long as it is in all of them so far.
                    merged.push((row, if index == 0 { 1 } else { 0 }, index == 0));
                }
                Some(&place) => {
                    let (known, seen, _) = &mut merged[place];
                    if *seen == index {
                        *seen += 1;
                    }
                    for (key, cell) in row {
                        set(known, key, cell);
                    }
                }
            }
        }
    }
    let kept = merged.into_iter().filter(|(_, seen, in_first)| match how {
        "\"full\"" => true,
        "\"inner\"" => *seen == count,
        "\"left\"" => *in_first,
        _ => refuse("how must be full, inner or left"),
    });
    (kept.map(|(row, _, _)| row).collect(), without)
}

// ── Transformations ──

fn compute(row: &Row, op: &str, of: &[(&str, &str)]) -> String {
    let values: Option<Vec<&str>> = of.iter().map(|(_, field)| get(row, field).filter(|value| *value != "null")).collect();
    let values = match values {
        Some(values) => values,
        None => return "null".to_string(),
    };
    if op == "\"concat\"" {
        if values.iter().any(|value| value.starts_with(['{', '['])) {
            refuse("concat takes texts, numbers and booleans");
        }
        let parts: String = values.iter().map(|value| if is_string(value) { &value[1..value.len() - 1] } else { value }).collect();
        return format!("\"{}\"", parts);
    }
    let numbers: Option<Vec<f64>> = values.iter().map(|value| number(value)).collect();
    let result = numbers.and_then(|numbers| {
        numbers.into_iter().reduce(|a, b| match op {
            "\"add\"" => a + b,
            "\"subtract\"" => a - b,
            "\"multiply\"" => a * b,
            "\"divide\"" => a / b,
            _ => refuse("op of compute must be add, subtract, multiply, divide or concat"),
        })
    });
    match result {
        Some(value) if value == 0.0 => "0".to_string(),
        Some(value) if value.is_finite() => format!("{}", value),
        _ => "null".to_string(),
    }
}

fn rank(value: Option<&str>) -> u8 {
    match value {
        Some(value) if number(value).is_some() => 0,
        Some(value) if is_string(value) => 1,
        _ => 2,
    }
}

fn compare(a: Option<&str>, b: Option<&str>) -> Ordering {
    match (rank(a), rank(b)) {
        (0, 0) => a.and_then(number).partial_cmp(&b.and_then(number)).unwrap_or(Ordering::Equal),
        (1, 1) => a.cmp(&b),
        (a, b) => a.cmp(&b),
    }
}

fn holds(row: &Row, field: &str, op: &str, value: &str) -> bool {
    let own = get(row, field);
    match op {
        "\"eq\"" => own == Some(value),
        "\"ne\"" => own != Some(value),
        _ => {
            // Only what has an order among its like is compared.
            if rank(own) != rank(Some(value)) || rank(own) == 2 {
                return false;
            }
            let order = compare(own, Some(value));
            match op {
                "\"lt\"" => order == Ordering::Less,
                "\"le\"" => order != Ordering::Greater,
                "\"gt\"" => order == Ordering::Greater,
                "\"ge\"" => order != Ordering::Less,
                _ => refuse("op of where must be eq, ne, lt, le, gt or ge"),
            }
        }
    }
}

fn field<'a>(given: &[(&'a str, &'a str)], name: &str) -> Option<&'a str> {
    given.iter().find(|(key, _)| &key[1..key.len() - 1] == name).map(|(_, value)| *value)
}

fn needed<'a>(given: &[(&'a str, &'a str)], name: &str, what: &str) -> &'a str {
    match field(given, name) {
        Some(value) => value,
        None => refuse(&format!("{} needs \"{}\"", what, name)),
    }
}

fn transform<'a>(mut rows: Vec<Row<'a>>, given: &[(&'a str, &'a str)]) -> Vec<Row<'a>> {
    if let Some(wanted) = field(given, "compute") {
        for (name, how) in entries(wanted, true, "compute") {
            let how = entries(how, true, "what is computed");
            let op = text(needed(&how, "op", "what is computed"), "op");
            let of = entries(needed(&how, "of", "what is computed"), false, "of");
            for row in &mut rows {
                let made = compute(row, op, &of);
                set(row, name, Cell::Made(made));
            }
        }
    }
    if let Some(wanted) = field(given, "where") {
        for (_, test) in entries(wanted, false, "where") {
            let test = entries(test, true, "a test of where");
            let name = text(needed(&test, "field", "a test of where"), "field");
            let op = text(needed(&test, "op", "a test of where"), "op");
            let value = needed(&test, "value", "a test of where");
            rows.retain(|row| holds(row, name, op, value));
        }
    }
    if let Some(wanted) = field(given, "sort") {
        let parts = if is_string(wanted) { vec![] } else { entries(wanted, true, "sort") };
        let name = if is_string(wanted) { wanted } else { text(needed(&parts, "field", "sort"), "field") };
        let descending = field(&parts, "descending") == Some("true");
        rows.sort_by(|a, b| {
            let order = compare(get(a, name), get(b, name));
            if descending { order.reverse() } else { order }
        });
    }
    if let Some(wanted) = field(given, "select") {
        let names = entries(wanted, false, "select");
        for row in &mut rows {
            *row = names.iter().filter_map(|(_, name)| row.iter().find(|(key, _)| key == name).cloned()).collect();
        }
    }
    if let Some(wanted) = field(given, "drop") {
        let names = entries(wanted, false, "drop");
        for row in &mut rows {
            row.retain(|(key, _)| !names.iter().any(|(_, name)| name == key));
        }
    }
    if let Some(wanted) = field(given, "rename") {
        let names = entries(wanted, true, "rename");
        for row in &mut rows {
            for cell in row.iter_mut() {
                if let Some((_, new)) = names.iter().find(|(old, _)| *old == cell.0) {
                    cell.0 = text(new, "a new name");
                }
            }
            let mut seen: Vec<&str> = row.iter().map(|(key, _)| *key).collect();
            seen.sort_unstable();
            if seen.windows(2).any(|pair| pair[0] == pair[1]) {
                refuse("rename would give two fields of a row the same name");
            }
        }
    }
    rows
}

fn written(rows: &[Row], without: usize) -> u64 {
    let mut out = String::new();
    let _ = write!(out, "{{\"count\":{},\"rows\":[", rows.len());
    for (index, row) in rows.iter().enumerate() {
        out.push_str(if index == 0 { "{" } else { ",{" });
        for (index, (key, cell)) in row.iter().enumerate() {
            let _ = write!(out, "{}{}:{}", if index == 0 { "" } else { "," }, key, cell.text());
        }
        out.push('}');
    }
    let _ = write!(out, "],\"without_key\":{}}}", without);
    let bytes = out.into_bytes().into_boxed_slice();
    let length = bytes.len() as u64;
    (Box::into_raw(bytes) as *mut u8 as u64) << 32 | length
}

fn arguments(pointer: *const u8, len: usize) -> &'static str {
    let bytes = if len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(pointer, len) } };
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => refuse(NOT_JSON),
    };
    let mut reader = Reader::new(text);
    let value = reader.value();
    reader.end();
    value
}

fn check_names(given: &[(&str, &str)], own: &[&str]) {
    const SHARED: [&str; 6] = ["compute", "where", "sort", "select", "drop", "rename"];
    for (key, _) in given {
        let name = &key[1..key.len() - 1];
        if !own.contains(&name) && !SHARED.contains(&name) {
            refuse(&format!("there is no argument {}; there are {}, {}", key, own.join(", "), SHARED.join(", ")));
        }
    }
}

#[no_mangle]
pub extern "C" fn merge_and_transform(pointer: *const u8, len: usize) -> u64 {
    let given = entries(arguments(pointer, len), true, "the argument");
    check_names(&given, &["sources", "on", "how"]);
    let sources = entries(needed(&given, "sources", "merge_and_transform"), false, "sources");
    let rows = sources.into_iter().map(|(_, rows)| read_rows(rows, "a source")).collect();
    let on = text(needed(&given, "on", "merge_and_transform"), "on");
    let (merged, without) = merge(rows, on, field(&given, "how").unwrap_or("\"full\""));
    written(&transform(merged, &given), without)
}

#[no_mangle]
#[export_name = "transform"]
pub extern "C" fn transform_rows(pointer: *const u8, len: usize) -> u64 {
    let value = arguments(pointer, len);
    if value.starts_with('[') {
        return written(&read_rows(value, "the rows"), 0);
    }
    let given = entries(value, true, "the argument");
    check_names(&given, &["rows"]);
    let rows = read_rows(needed(&given, "rows", "transform"), "rows");
    written(&transform(rows, &given), 0)
}

#[no_mangle]
pub extern "C" fn process(pointer: *const u8, len: usize) -> u64 {
    transform_rows(pointer, len)
}
