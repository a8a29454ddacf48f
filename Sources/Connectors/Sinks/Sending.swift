internal import Glibc
internal import Storage

/// Writes some of `bytes`: as many as there is room for.
///
/// - Returns: how many, or nil where there is no room now.
/// - Throws: `EPIPE` among others where nobody reads.
func writeSome(
  _ bytes: ArraySlice<UInt8>, to descriptor: CInt, path: String
) throws(FileError) -> Int? {
  try someOrNone(path) {
    bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
  }
}

/// Sends some of `bytes` to a socket, without `SIGPIPE`; else as `writeSome`.
func sendSome(
  _ bytes: ArraySlice<UInt8>, to descriptor: CInt, path: String
) throws(FileError) -> Int? {
  let flags = CInt(MSG_NOSIGNAL) | CInt(MSG_DONTWAIT)
  return try someOrNone(path) {
    bytes.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, flags) }
  }
}

private func someOrNone(_ path: String, _ call: () -> Int) throws(FileError) -> Int? {
  do throws(FileError) {
    return try posix(.write, path, call)
  } catch  where error.errno == EAGAIN {
    return nil
  }
}
