internal import CRdKafka

/// An error of librdkafka that is no answer to a request, such as a login that a broker refuses. It holds no value of a property.
struct BrokerError: Sendable, Equatable {
  let code: rd_kafka_resp_err_t
  /// The words of librdkafka, without the time that it took and how often it came: the same error has the same text.
  let text: String

  init(_ code: rd_kafka_resp_err_t, _ words: String) {
    self.code = code
    let end = words.hasSuffix(")") ? words.lastIndex(of: " (after ") : nil
    text = String(words[..<(end ?? words.endIndex)])
  }

  /// Whether only other properties, or other settings of the brokers, can mend it.
  var isRefusal: Bool {
    code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL
  }

  /// Whether it may be a refusal: a connection over TLS that ends at once, or that was lost.
  var mayBeRefusal: Bool { isRefusal || text.contains("SSL routines") }

  /// Whether it tells more than another error that came before it. librdkafka tells a refusal first in full words, and then by
  /// its cause alone.
  func replaces(_ other: BrokerError?) -> Bool {
    guard let other else { return true }
    if other.isRefusal { return isRefusal && code != other.code }
    return isRefusal || !other.mayBeRefusal && code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN
  }
}

/// How a client shows who it is, for the hints of its errors.
struct KafkaIdentity: Sendable {
  /// From this version of librdkafka on, brokers of Kafka 4 accept its SCRAM (librdkafka #4895).
  private static let soundSCRAM: CInt = 0x0206_01FF

  var usesSCRAM = false
  var hasCertificate = false

  init(_ properties: [(name: String, value: String)]) {
    for (name, value) in properties {
      switch name {
      case "sasl.mechanism", "sasl.mechanisms": usesSCRAM = value.uppercased().hasPrefix("SCRAM")
      case "ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location":
        hasCertificate = true
      default: break
      }
    }
  }

  /// The advice to a user about an error, as the end of a sentence; empty if nobody knows.
  ///
  /// - Parameter version: that of librdkafka, as `rd_kafka_version` tells it.
  func hint(for error: BrokerError, version: CInt = rd_kafka_version()) -> String {
    if error.code == RD_KAFKA_RESP_ERR__AUTHENTICATION, usesSCRAM, version < Self.soundSCRAM,
      error.text.contains("authentication error")
    {
      return
        "; if the password is right: brokers of Kafka 4 refuse SCRAM from librdkafka before 2.6.1, and this is "
        + "\(String(cString: rd_kafka_version_str())): use PLAIN over TLS, or a newer librdkafka"
    }
    if error.mayBeRefusal, error.text.contains("Receive failed"), !hasCertificate {
      return
        "; a broker that asks for the certificate of a client needs ssl.certificate.location and ssl.key.location"
    }
    return ""
  }
}

extension String {
  /// The beginning of the last place where a text stands; nil if it stands nowhere.
  fileprivate func lastIndex(of text: String) -> Index? {
    var index = endIndex
    while index > startIndex {
      index = self.index(before: index)
      if self[index...].hasPrefix(text) { return index }
    }
    return nil
  }
}
