/// The one spelling of a path by which places are compared.
extension FileSystem {
  /// The absolute path of a file without `.`, `..` and symbolic links: all spellings of one place give the same.
  ///
  /// Parts that are not there yet stay as they are spelt, and so do links after the first 40.
  package func canonicalPath(_ path: String) -> String {
    var rest = Array(path.split(separator: "/").reversed())
    if !path.hasPrefix("/") { rest += workingDirectory.split(separator: "/").reversed() }
    var done: [Substring] = []
    var linksLeft = 40
    while let part = rest.popLast() {
      switch part {
      case ".": continue
      case "..":
        _ = done.popLast()
        continue
      default: done.append(part)
      }
      guard linksLeft > 0, let target = linkTarget(of: "/" + done.joined(separator: "/")) else {
        continue
      }
      linksLeft -= 1
      if target.hasPrefix("/") { done = [] } else { done.removeLast() }
      rest += target.split(separator: "/").reversed()
    }
    return "/" + done.joined(separator: "/")
  }
}
