internal import Glibc

/// The name of this machine, and the number of this process.
package func processIdentity() -> (host: String, pid: Int) {
  var name = [CChar](repeating: 0, count: 256)
  // The last byte stays a zero.
  let status = gethostname(&name, name.count - 1)
  let bytes = name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
  return (status == 0 ? String(decoding: bytes, as: UTF8.self) : "unknown", Int(getpid()))
}
