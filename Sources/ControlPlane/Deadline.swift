/// What was waited for did not come in time.
struct DeadlineExceeded: Error {}

/// Runs an operation that honours cancellation for at most so many seconds.
///
/// - Throws: `DeadlineExceeded`, or what the operation throws.
func withDeadline<Value: Sendable>(
  seconds: Double, _ operation: @escaping @Sendable () async throws -> Value
) async throws -> Value {
  try await withThrowingTaskGroup(of: Value.self) { group in
    group.addTask { try await operation() }
    group.addTask {
      try await Task.sleep(for: .seconds(seconds))
      throw DeadlineExceeded()
    }
    defer { group.cancelAll() }
    guard let value = try await group.next() else { throw CancellationError() }
    return value
  }
}
