import CRdKafka
import Testing

@testable import Connectors

/// The words for what brokers refuse. `make kafka-check` has brokers that do.
struct BrokerErrorTests {
  private static let login = BrokerError(
    RD_KAFKA_RESP_ERR__AUTHENTICATION,
    "sasl_ssl://kafka-1:9093/bootstrap: SASL authentication error: Authentication failed (after 13ms in state "
      + "AUTH_REQ, 1 identical error(s) suppressed)")
  private static let mechanism = BrokerError(
    RD_KAFKA_RESP_ERR__AUTHENTICATION,
    "kafka-1:9093/1: SASL SCRAM-SHA-256 mechanism handshake failed: Broker: Unsupported SASL mechanism"
  )
  private static let down = BrokerError(
    RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "1/1 brokers are down")
  private static let reset = BrokerError(
    RD_KAFKA_RESP_ERR__TRANSPORT,
    "ssl://kafka-1:9093/1: Receive failed: error:0A00045C:SSL routines::tlsv13 alert certificate required (after 0ms "
      + "in state APIVERSION_QUERY)")

  @Test func `the time and the repetitions are left out`() {
    #expect(
      Self.login.text
        == "sasl_ssl://kafka-1:9093/bootstrap: SASL authentication error: Authentication failed")
    #expect(Self.down.text == "1/1 brokers are down")
  }

  @Test func `a refused login is kept when the brokers count as down`() {
    #expect(Self.login.replaces(nil))
    #expect(Self.login.replaces(Self.down))
    #expect(!Self.down.replaces(Self.login))
    #expect(!Self.mechanism.replaces(Self.login))
    #expect(!Self.down.replaces(Self.reset))
    #expect(!Self.down.mayBeRefusal)
  }

  @Test func `a lost connection over TLS is no refusal while a stream runs`() {
    #expect(Self.login.isRefusal)
    #expect(Self.reset.mayBeRefusal)
    #expect(!Self.reset.isRefusal)
  }

  @Test func `a hint tells what may be mended`() {
    let scram = KafkaIdentity([("sasl.mechanisms", "SCRAM-SHA-512"), ("sasl.password", "secret")])
    #expect(scram.hint(for: Self.login, version: 0x0200_02FF).contains("2.6.1"))
    #expect(scram.hint(for: Self.login, version: 0x0206_01FF).isEmpty)
    #expect(scram.hint(for: Self.mechanism, version: 0x0200_02FF).isEmpty)
    #expect(KafkaIdentity([]).hint(for: Self.login, version: 0x0200_02FF).isEmpty)
    #expect(KafkaIdentity([]).hint(for: Self.reset).contains("ssl.certificate.location"))
    let known = KafkaIdentity([("ssl.certificate.pem", "-----BEGIN")])
    #expect(known.hint(for: Self.reset).isEmpty)
  }
}
