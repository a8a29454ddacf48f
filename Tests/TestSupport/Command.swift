package import Foundation
internal import Glibc

/// The results of a process.
package struct Finished {
  package var exitCode: Int32
  package var output: [UInt8]
  package var errors: String
}

/// A temporary directory in which a test runs the binary.
package final class Workplace {
  package let directory: URL

  package init() throws {
    directory = FileManager.default.temporaryDirectory
      .appendingPathComponent("evenkeel-" + UUID().uuidString)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
  }

  deinit {
    try? FileManager.default.removeItem(at: directory)
  }

  package func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

  package func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
    try Data(bytes).write(to: directory.appendingPathComponent(name))
  }

  package func read(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: directory.appendingPathComponent(name)))
  }

  /// The names of the files in the directory, without the captured output of the processes.
  package var files: [String] {
    let all = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
    return all.filter { !$0.hasPrefix("stream-") }.sorted()
  }

  /// Runs the binary to its end; `input` is a file of the directory for its standard input.
  package func evenkeel(_ arguments: String..., input: String? = nil) throws -> Finished {
    try run([binary] + arguments, input: input)
  }

  /// Runs a shell command in which `$EVENKEEL` is the binary, and `$MEASURED` the binary whose memory and
  /// processor time are measured.
  package func shell(_ command: String) throws -> Finished {
    // GNU time forks the binary itself. A child of this process would count the memory of the tests as its own.
    let names =
      "EVENKEEL='\(binary)'; MEASURED=\"/usr/bin/time -q -f %M:%U:%S -o stream-peak $EVENKEEL\""
    return try run(["/bin/sh", "-c", "\(names); \(command)"], input: nil)
  }

  /// The greatest resident set of the last measured command, in bytes. It is 0 under a sanitizer, which has a
  /// large memory of its own.
  package func peakMemory() throws -> Int {
    isSanitized ? 0 : Int(try measures()[0]) * 1024
  }

  /// The processor time of the last measured command, in seconds. Other processes do not change it.
  package func processorSeconds() throws -> Double { try measures()[1...].reduce(0, +) }

  /// The numbers that GNU time wrote: kibibytes, seconds in the program, seconds in the kernel.
  private func measures() throws -> [Double] {
    // If the command fails, GNU time writes a line before it.
    let line = String(decoding: try read("stream-peak"), as: UTF8.self).split(separator: "\n").last
    let numbers = (line ?? "").split(separator: ":").compactMap { Double($0) }
    guard numbers.count == 3 else { throw POSIXError(.ENODATA) }
    return numbers
  }

  private func run(_ command: [String], input: String?) throws -> Finished {
    let process = try start(command, input: input)
    return try process.wait()
  }

  /// The limit of descriptors, up to which a command gets none of the tests.
  private static let closedDescriptors: CInt = {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    return CInt(min(limit.rlim_cur, 4096))
  }()

  /// Starts a command in the directory.
  ///
  /// - Parameter socket: becomes descriptor 3 of the command.
  package func start(_ command: [String], input: String?, socket: CInt? = nil) throws -> Running {
    let run = UUID().uuidString
    let (output, errors) = (path("stream-out-" + run), path("stream-err-" + run))
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, input.map(path) ?? "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT, 0o600)
    if let socket { posix_spawn_file_actions_adddup2(&actions, socket, 3) }
    // Other threads may have files open just now, which would count as descriptors of the command.
    for descriptor in CInt(socket == nil ? 3 : 4)..<Self.closedDescriptors {
      posix_spawn_file_actions_addclose(&actions, descriptor)
    }
    // posix_spawn(3) cannot change the directory, so a shell does, and executes the command.
    let shell = ["/bin/sh", "-c", "cd \"$0\" && exec \"$@\"", directory.path]
    var arguments = (shell + command).map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var identifier = pid_t()
    let status = posix_spawn(&identifier, shell[0], &actions, nil, &arguments, environ)
    guard status == 0 else { throw POSIXError(POSIXErrorCode(rawValue: status) ?? .EINVAL) }
    return Running(identifier: identifier, output: output, errors: errors)
  }
}

/// A process that was started.
package struct Running {
  package let identifier: pid_t
  package let output: String
  package let errors: String

  package func signal(_ number: Int32) { kill(identifier, number) }

  package func wait() throws -> Finished {
    var status: Int32 = 0
    while waitpid(identifier, &status, 0) < 0 {
      guard errno == EINTR else { throw POSIXError(.ECHILD) }
    }
    let signal = status & 0x7F
    return Finished(
      exitCode: signal == 0 ? (status >> 8) & 0xFF : 128 + signal,
      output: Array(try Data(contentsOf: URL(fileURLWithPath: output))),
      errors: String(decoding: try Data(contentsOf: URL(fileURLWithPath: errors)), as: UTF8.self))
  }
}

/// The path of the binary: `EVENKEEL_BINARY`, or the one that was built with these tests.
package let binary: String = {
  if let named = ProcessInfo.processInfo.environment["EVENKEEL_BINARY"] {
    return URL(fileURLWithPath: named).path
  }
  var place = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
  while place.path != "/" {
    place.deleteLastPathComponent()
    let candidate = place.appendingPathComponent("evenkeel").path
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: candidate, isDirectory: &isDirectory),
      !isDirectory.boolValue
    {
      return candidate
    }
  }
  return "evenkeel"
}()

/// Whether the long tests run in full.
package let runsFullDose = ProcessInfo.processInfo.environment["EVENKEEL_FULL"] == "1"

/// The places of `range` to damage: all in full, else each seventh and the last. Seven is no factor of the size of a
/// number, so that each of its bytes, and each bit of a byte, has its turn.
package func dose(_ range: Range<Int>) -> [Int] {
  guard !runsFullDose else { return Array(range) }
  return Array(stride(from: range.lowerBound, to: range.upperBound, by: 7)) + range.suffix(1)
}

/// A file of the repository.
package func repositoryFile(_ path: String) -> String {
  URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent(path).path
}

package let weather = repositoryFile("samples/weather.csv.zst")

/// A value that a test expected and did not find.
package struct Missing: Error, CustomStringConvertible {
  package let description: String
}

/// Unwraps a value, or throws an error with its description.
func required<Value>(_ value: Value?, _ what: @autoclosure () -> String) throws -> Value {
  guard let value else { throw Missing(description: "expected \(what()), found nothing") }
  return value
}

extension Collection<UInt8> {
  package var lineCount: Int { reduce(into: 0) { if $1 == UInt8(ascii: "\n") { $0 += 1 } } }
}

extension String {
  package var lineCount: Int { utf8.lineCount }
}

/// Whether the tests run under AddressSanitizer or ThreadSanitizer (`make sanitize`).
package var isSanitized: Bool { ProcessInfo.processInfo.environment["EVENKEEL_SANITIZED"] == "1" }
