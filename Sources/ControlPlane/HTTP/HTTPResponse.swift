internal import FoundationEssentials
internal import Records
internal import Stream

/// A request in the view of the routes.
struct HTTPRequest {
  var head: HTTPRequestHead
  var body: [UInt8]
  /// Whether it came over a Unix socket. The permissions of the socket's file decide who may connect.
  var isOverUnixSocket: Bool
}

/// An answer with its whole body.
struct HTTPResponse: Equatable {
  var status: Int
  var contentType: String
  var fields: [String: String]
  var body: [UInt8]

  init(
    status: Int = 200, contentType: String, fields: [String: String] = [:], body: [UInt8]
  ) {
    self.status = status
    self.contentType = contentType
    self.fields = fields
    self.body = body
  }

  /// A value as JSON, with keys in snake case.
  init(status: Int = 200, json value: some Encodable, fields: [String: String] = [:]) {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    // The values write null for numbers that JSON cannot express, so a failure is a bug.
    let text = (try? encoder.encode(value)).map { printable(json: Array($0)) }
    self.init(
      status: text == nil ? 500 : status, contentType: "application/json", fields: fields,
      body: text ?? Array(#"{"error":"internal error"}"#.utf8))
  }

  init(_ fault: HTTPFault) {
    self.init(status: fault.status, json: FaultView(fault: fault), fields: fault.fields)
  }

  /// The status line and the header, in the form that is sent before the body.
  ///
  /// - Parameter endsWithConnection: whether the length of the body is not known, so that only the end of the connection
  ///   ends it.
  func head(closes: Bool, endsWithConnection: Bool = false) -> [UInt8] {
    var lines = [
      "HTTP/1.1 \(status) \(Self.reasons[status] ?? "Status")",
      "Content-Type: \(contentType)",
    ]
    if !endsWithConnection { lines.append("Content-Length: \(body.count)") }
    lines += [
      "Cache-Control: no-store",
      "X-Content-Type-Options: nosniff",
      "Connection: \(closes ? "close" : "keep-alive")",
    ]
    lines += fields.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
    return Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8)
  }

  private static let reasons = [
    200: "OK", 202: "Accepted", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict",
    411: "Length Required", 413: "Content Too Large", 415: "Unsupported Media Type",
    431: "Request Header Fields Too Large", 500: "Internal Server Error",
    503: "Service Unavailable", 505: "HTTP Version Not Supported",
  ]
}

/// The body of a refusal.
private struct FaultView: Encodable {
  let fault: HTTPFault

  func encode(to encoder: any Encoder) throws {
    var members = encoder.container(keyedBy: AnyKey.self)
    try members.encode(fault.message, forKey: AnyKey(stringValue: "error"))
    for (name, value) in fault.members {
      try members.encode(value, forKey: AnyKey(stringValue: name))
    }
  }
}
