internal import Glibc
internal import Storage

/// Writes as many of `bytes` as there is room for.
///
/// - Returns: the number of bytes; nil if there is no room now.
/// - Throws: an error such as `EPIPE` if there is no reader.
func writeSome(
  _ bytes: ArraySlice<UInt8>, to descriptor: CInt, path: String
) throws(FileError) -> Int? {
  try someOrNone(path) {
    bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
  }
}

/// Sends bytes to a socket without `SIGPIPE`; otherwise like `writeSome`.
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
