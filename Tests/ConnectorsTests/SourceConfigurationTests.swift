import Configuration
import Testing

@testable import Connectors

struct SourceConfigurationTests {
  /// The errors of a source section written in YAML's flow style, as `LINE:COLUMN path: message`.
  private func errors(_ kind: SourceKind, _ text: String) -> [String] {
    do throws(ConfigurationFailure) {
      let document = try ConfigurationDocument(
        Array("\(kind.name): \(text)\n".utf8), file: "f", environment: { _ in nil })
      _ = document.root.section(kind.name)?.values(of: kind.settings)
      try document.check()
      return []
    } catch {
      return error.errors.map { "\($0.line):\($0.column) \($0.path): \($0.message)" }
    }
  }

  @Test(arguments: [
    (SourceKind.follow, "{ path: /tmp/a, start: end }"),
    (.directory, "{ path: /tmp, pattern: '*.csv' }"),
    (.fifo, "{ path: /tmp/a, create: true }"),
    (.unix, "{ path: /tmp/a, mode: '0660', connections: 5, idle_timeout: 1s, backlog: 9 }"),
    (.unix, "{ path: /tmp/a, mode: 0660 }"),
    (.unix, "{ systemd: weather }"),
    (.tcp, "{ address: '127.0.0.1:9000' }"),
    (.tcp, "{ address: '[::]:9000', allow_remote: true }"),
    (.tcp, "{ systemd: weather, connections: 7 }"),
  ])
  func `every key of a source is known`(kind: SourceKind, text: String) {
    #expect(errors(kind, text) == [])
  }

  @Test(arguments: [
    (SourceKind.follow, "{ path: /tmp/a, start: middle }", "start"),
    (.directory, "{ path: /tmp, after: move }", "after"),
    (.fifo, "{ create: true }", "path"),
    (.unix, "{ path: /tmp/a, mode: '0999' }", "mode"),
    (.unix, "{ path: /tmp/a, connections: 0 }", "connections"),
    (.unix, "{ path: /tmp/a, idle_timeout: 0s }", "idle_timeout"),
    (.unix, "{ path: /tmp/a, systemd: weather }", "systemd"),
    (.tcp, "{ address: '0.0.0.0:9000' }", "address"),
    (.tcp, "{ address: 'example.org:9000', allow_remote: true }", "address"),
    (.tcp, "{ address: '127.0.0.1:1', backlog: 0 }", "backlog"),
    (.tcp, "{ }", "address"),
    (.tcp, "{ address: [1] }", "address"),
  ])
  func `a wrong value is told once, at its key`(kind: SourceKind, text: String, key: String) {
    let errors = errors(kind, text)
    #expect(
      errors.count == 1
        && errors.allSatisfy {
          $0.contains(" \(kind.name).\(key): ")
            || $0.contains(" \(kind.name): ") && $0.contains(key)
        }, "\(errors)")
  }
}
