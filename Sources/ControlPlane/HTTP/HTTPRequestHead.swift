/// The request line and the header fields of an HTTP/1 request (RFC 9112).
struct HTTPRequestHead: Equatable {
  var method: String
  /// The path as received, percent-encoded, without the query.
  var path: String
  /// The query as received, without the question mark; empty if there is none.
  var query: String
  /// By lower-case name.
  var fields: [String: String]
  var contentLength: Int
  /// Whether the connection stays open for another request.
  var keepsAlive: Bool
  var expectsContinue: Bool

  private static let maxFields = 64
  /// The media type of a file.
  static let fileType = "application/octet-stream"

  /// The media type of the body in lower case, without its parameters; empty if it is not declared.
  var mediaType: String {
    let type = (fields["content-type"] ?? "").split(separator: ";").first ?? ""
    return type.lowercased().filter { $0 != " " }
  }

  /// Parses the bytes before the empty line that ends the head. Each line ends with CRLF.
  ///
  /// - Throws: `HTTPFault` with the status for the fault.
  init(parsing bytes: some Collection<UInt8>) throws(HTTPFault) {
    let text = String(decoding: bytes, as: UTF8.self)
    var lines = text.split(separator: "\r\n", omittingEmptySubsequences: false)
    let requestLine = lines.removeFirst().split(separator: " ", omittingEmptySubsequences: false)
    guard requestLine.count == 3, requestLine[0].utf8.allSatisfy(isTokenByte),
      !requestLine[0].isEmpty
    else { throw .badRequest("malformed request line") }
    guard ["HTTP/1.1", "HTTP/1.0"].contains(requestLine[2]) else {
      guard requestLine[2].hasPrefix("HTTP/") else { throw .badRequest("malformed request line") }
      throw HTTPFault(505, "expected HTTP/1.1 or HTTP/1.0")
    }
    let target = requestLine[1]
    guard target.hasPrefix("/"), target.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw .badRequest("expected a request target that starts with '/'")
    }
    method = String(requestLine[0])
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    path = parts.first.map(String.init) ?? "/"
    query = parts.count > 1 ? String(parts[1]) : ""
    fields = try Self.fields(lines)

    let isVersion11 = requestLine[2] == "HTTP/1.1"
    guard !isVersion11 || fields["host"] != nil else { throw .badRequest("no Host header") }
    guard fields["transfer-encoding"] == nil else {
      throw HTTPFault(411, "expected Content-Length, found Transfer-Encoding")
    }
    if let length = fields["content-length"] {
      guard !length.isEmpty, length.utf8.allSatisfy({ 0x30...0x39 ~= $0 }) else {
        throw .badRequest("malformed Content-Length")
      }
      // Digits that do not fit into Int are a length beyond every limit.
      contentLength = Int(length) ?? .max
    } else {
      contentLength = 0
    }
    let connection = (fields["connection"] ?? "").lowercased().split(separator: ",")
      .map { $0.drop { $0 == " " } }
    keepsAlive =
      isVersion11 ? !connection.contains("close") : connection.contains("keep-alive")
    expectsContinue = isVersion11 && fields["expect"]?.lowercased() == "100-continue"
  }

  private static func fields(_ lines: some Collection<Substring>) throws(HTTPFault)
    -> [String: String]
  {
    guard lines.count <= maxFields else { throw HTTPFault(431, "more than \(maxFields) headers") }
    var fields: [String: String] = [:]
    for line in lines {
      guard let colon = line.firstIndex(of: ":") else { throw .badRequest("malformed header") }
      let name = line[..<colon]
      let value = line[line.index(after: colon)...].drop(while: isBlank)
      let trimmed = value.reversed().drop(while: isBlank).reversed()
      guard !name.isEmpty, name.utf8.allSatisfy(isTokenByte),
        String(trimmed).utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 })
      else { throw .badRequest("malformed header") }
      let key = name.lowercased()
      // With a second Host, length or token, two readers could see two different requests.
      if let earlier = fields[key] {
        let single = ["host", "content-length", "authorization", "origin", "content-type"]
        guard !single.contains(key) else { throw .badRequest("more than one \(name)") }
        fields[key] = earlier + ", " + String(trimmed)
      } else {
        fields[key] = String(trimmed)
      }
    }
    return fields
  }
}

/// A refused request, with the status and the text of the answer.
struct HTTPFault: Error, Equatable {
  let status: Int
  let message: String
  /// More header fields of the answer.
  var fields: [String: String] = [:]
  /// More members of the answer, beside `error`.
  var members: [String: Int] = [:]

  init(_ status: Int, _ message: String, fields: [String: String] = [:]) {
    self.status = status
    self.message = message
    self.fields = fields
  }

  static func badRequest(_ message: String) -> HTTPFault { HTTPFault(400, message) }
}

private func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }

/// Whether a byte may be part of a method or of a field's name (RFC 9110, 5.6.2).
private func isTokenByte(_ byte: UInt8) -> Bool {
  switch byte {
  case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
    UInt8(ascii: "0")...UInt8(ascii: "9"):
    true
  default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
  }
}
