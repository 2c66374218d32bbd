use std::io::{self, BufRead};
use std::time::{Duration, Instant, SystemTime};
fn main() {
  let n = io::stdin().lock().lines().map(|l| l.unwrap().split_whitespace().count()).sum::<usize>();
  println!("{} words {:?} {:?}", n, std::env::args().skip(1).collect::<Vec<_>>(), std::env::var("NAME"));
  let t = Instant::now(); std::thread::sleep(Duration::from_secs(3600)); println!("{}", t.elapsed().as_secs());
  println!("{}", SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
  let mut m = std::collections::HashMap::new(); m.insert(1, 2); println!("{:?}", m);
  if let Err(e) = std::fs::File::open("/etc/passwd") { eprintln!("{}", e); }
  panic!("the end");
}
