import Dispatch
import Storage
import Synchronization
import TestSupport

@testable import Stream

/// How a stream that ran over files ended.
struct FileRun {
  let metrics: StreamMetrics
  let failure: StreamError?

  /// Runs the stream to its end.
  ///
  /// - Throws: what keeps it from being opened.
  init(
    _ configuration: StreamConfiguration, _ files: StreamFiles, threads: Int = 2,
    fileSystem: any FileSystem = POSIXFileSystem(), whileRunning: (StreamRun) -> Void = { _ in }
  ) throws(StreamError) {
    let ending = StreamEnding()
    let run = try StreamRun(configuration, files: files, threads: threads, fileSystem: fileSystem) {
      ending.complete($0)
    }
    run.start()
    whileRunning(run)
    failure = ending.wait()
    metrics = run.metrics
  }
}

/// Waits for the end of a stream, with a deadline that only a hang reaches.
final class StreamEnding: Sendable {
  private let failure = Mutex<(any Error)?>(nil)
  private let semaphore = DispatchSemaphore(value: 0)

  func complete(_ failure: (any Error)?) {
    self.failure.withLock { $0 = failure }
    semaphore.signal()
  }

  func wait() -> StreamError? {
    guard semaphore.wait(timeout: .now() + hangSeconds) == .success else {
      return .configuration("the stream did not complete")
    }
    return failure.withLock { failure in
      failure.map { $0 as? StreamError ?? .configuration("an error of another kind: \($0)") }
    }
  }
}
