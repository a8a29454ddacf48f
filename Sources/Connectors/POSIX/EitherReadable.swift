package import Dataflow
package import Storage

/// Waits for the first of two descriptors, by an epoll(7) instance that stands for both.
package struct EitherReadable: Sendable {
  private let epoll: Epoll
  private var watched: [CInt] = []

  /// - Parameter path: the path or address of the connector, for messages.
  package init(_ path: String) throws(FileError) { epoll = try Epoll(path: path) }

  /// Watches two descriptors, and none of those before.
  ///
  /// - Returns: the wait for both; nil if one of them cannot be watched, as a file on a disk.
  package mutating func watch(_ first: CInt, _ second: CInt) -> Readiness? {
    let wanted = [first, second]
    if watched != wanted {
      for number in watched { epoll.remove(number) }
      watched = wanted.filter { epoll.add($0) }
    }
    return watched == wanted ? .readable(descriptor: epoll.number) : nil
  }
}
