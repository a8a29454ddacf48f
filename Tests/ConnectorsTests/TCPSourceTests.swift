import Configuration
import Foundation
import Glibc
import Storage
import Testing

@testable import Connectors

extension LiveSourceTests {
  struct TCPSourceTests {
    private func listen(
      _ address: String = "127.0.0.1:0", _ limits: ConnectionLimits = ConnectionLimits()
    ) throws -> (source: SourceDriver, port: Int) {
      let source = try ConnectionSource(tcp: address, limits: limits)
      return (SourceDriver(source), try #require(source.port))
    }

    @Test(arguments: ["127.0.0.1:0", "localhost:0"])
    func `a connection is a run`(address: String) throws {
      var (source, port) = try listen(address)
      #expect(port > 0)
      let first = try Producer.connected(toPort: port)
      let second = try Producer.connected(toPort: port)
      #expect(try source.drain() == [])
      first.write("a\n")
      #expect(try source.drain(until: ["0:a\n"]) == ["0:a\n"])
      second.write("b\n")
      #expect(try source.drain(until: ["1:b\n"]) == ["1:b\n"])
      first.close()
      #expect(try source.drain(until: ["0 ended"]) == ["0 ended"])
      second.write("c")
      #expect(try source.drain(until: ["1:c"]) == ["1:c"])
    }

    /// Whether this machine has the address ::1.
    private static let hasIPv6 =
      (try? String(contentsOfFile: "/proc/net/if_inet6", encoding: .utf8))?
      .contains("00000000000000000000000000000001 ") ?? false

    @Test(.enabled(if: hasIPv6)) func `IPv6 is listened on in brackets`() throws {
      var (source, port) = try listen("[::1]:0")
      let producer = try Producer.connected(toPort: port, isIPv6: true)
      #expect(try source.drain() == [])
      producer.write("six")
      #expect(try source.drain(until: ["0:six"]) == ["0:six"])
    }

    @Test func `a connection that is reset ends like one that is closed`() throws {
      var (source, port) = try listen()
      let first = try Producer.connected(toPort: port)
      first.write("a")
      #expect(try source.drain(until: ["0:a"]) == ["0:a"])
      first.reset()
      #expect(try source.drain(until: ["0 ended"]) == ["0 ended"])
      let second = try Producer.connected(toPort: port)
      #expect(try source.drain() == [])
      second.write("b")
      #expect(try source.drain(until: ["1:b"]) == ["1:b"])
    }

    @Test func `a drain takes what had arrived when it began and no more`() throws {
      var (source, port) = try listen()
      let producer = try Producer.connected(toPort: port)
      let silent = try Producer.connected(toPort: port)
      producer.write("early\n")
      #expect(try source.drain(until: ["0:early\n"]) == ["0:early\n"])
      producer.write("before\n")
      #expect(source.isReady(within: 20))
      let drains = source.source.drain()
      #expect(drains)
      producer.write("after\n")
      #expect(try source.drain() == ["0:before\n", "0 ended", "end"])
      #expect(producer.isClosedByPeer())
      #expect(silent.isClosedByPeer())
    }

    @Test func `a port can be listened on again at once, and not twice`() throws {
      var (source, port): (SourceDriver?, Int) = try listen()
      let address = "127.0.0.1:\(port)"
      let producer = try Producer.connected(toPort: port)
      producer.write("a")
      #expect(try source?.drain(until: ["0:a"]) == ["0:a"])
      #expect(throws: FileError(operation: .open, path: address, errno: EADDRINUSE)) {
        _ = try listen(address)
      }
      // The connection that the source closes first lingers in the system.
      source = nil
      #expect(producer.isClosedByPeer())
      _ = try listen(address)
    }

    @Test(arguments: [
      "0.0.0.0:0", "192.0.2.1:9000", "[::]:0", "[::ffff:127.0.0.1]:1", "[fe80::1]:1",
    ])
    func `an address beyond this machine is refused unless allowed`(address: String) throws {
      #expect(throws: FileError(operation: .open, path: address, errno: EACCES)) {
        _ = try ConnectionSource(tcp: address)
      }
      var values = SettingValues()
      values[TCPSourceSettings.address] = address
      #expect(
        TCPSourceSettings.group.violations(in: values).map(\.inFile) == [
          "address: expected a loopback address (127.0.0.1, [::1]), or allow_remote: true, "
            + "found '\(address)'"
        ])
      values[TCPSourceSettings.allowRemote] = true
      #expect(TCPSourceSettings.group.violations(in: values).isEmpty)
    }

    @Test func `an address beyond this machine is listened on when allowed`() throws {
      let source = try ConnectionSource(tcp: "0.0.0.0:0", allowsRemote: true)
      #expect(try #require(source.port) > 0)
    }

    @Test(arguments: ["127.0.0.1:9000", "127.8.9.10:1", "localhost:65535", "[::1]:80"])
    func `loopback addresses are taken as they are`(address: String) {
      var values = SettingValues()
      values[TCPSourceSettings.address] = address
      #expect(TCPSourceSettings.group.violations(in: values).isEmpty)
      let spelled = address.replacing("localhost", with: "127.0.0.1")
      #expect(InternetAddress(address)?.description == spelled)
    }

    @Test(arguments: [
      "", ":", "9000", ":9000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:+1",
      "127.0.0.1:-1", "127.1:1", "::1:80", "[::1]", "[::1]:", "[127.0.0.1]:1", "[localhost]:1",
      "example.org:80", "127.0.0.1:80 ", "[]:1",
    ])
    func `a text that is not an address is refused`(text: String) {
      #expect(InternetAddress(text) == nil)
      #expect((try? SettingType.address.parse([text])) == nil)
    }
  }
}
