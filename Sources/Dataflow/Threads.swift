internal import CLinux
internal import Glibc

/// The operating system refused to make a thread.
package struct ThreadError: Error, Equatable, CustomStringConvertible {
  /// The number of threads to make, and the number that were made.
  package let needed: Int
  package let made: Int
  /// The error number of errno(3), EAGAIN in most cases.
  package let errno: Int32

  package init(needed: Int, made: Int, errno: Int32) {
    self.needed = needed
    self.made = made
    self.errno = errno
  }

  package var description: String {
    // strerror is safe in threads since glibc 2.32.
    let reason = strerror(errno).map { String(cString: $0) } ?? "error \(errno)"
    return """
      cannot start: expected to make \(needed) threads, made \(made): \(reason); raise the limit \
      (TasksMax= of the unit, pids.max of the cgroup, ulimit -u, ulimit -v)
      """
  }
}

/// Starts a thread that runs `body` and then ends. No caller can join it.
///
/// - Parameter name: the name in ps(1) and top(1), at most 15 bytes.
/// - Throws: a `ThreadError` with the error number of pthread_create(3), which counts this thread only.
package func startThread(
  _ name: String, _ body: @escaping @Sendable () -> Void
) throws(ThreadError) {
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  defer { pthread_attr_destroy(&attributes) }
  pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
  let start = Unmanaged.passRetained(ThreadStart(name: name, body: body))
  var thread = pthread_t()
  let status = pthread_create(
    &thread, &attributes,
    { argument in
      guard let argument else { return nil }
      let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
      pthread_setname_np(pthread_self(), start.name)
      start.body()
      return nil
    }, start.toOpaque())
  guard status == 0 else {
    start.release()
    throw ThreadError(needed: 1, made: 0, errno: status)
  }
}

/// The name and the body that a new thread gets.
private final class ThreadStart: Sendable {
  let name: String
  let body: @Sendable () -> Void

  init(name: String, body: @escaping @Sendable () -> Void) {
    self.name = name
    self.body = body
  }
}
