internal import Operators
internal import Records
internal import Stream

/// Reads the JSON body of an update.
///
/// - Throws: `HTTPFault` 400 with the member that is wrong.
func decodedBody<Body: UpdateBody>(_ type: Body.Type, _ bytes: [UInt8]) throws(HTTPFault) -> Body {
  do throws(UpdateBodyError) {
    return try decodedObject(type, bytes)
  } catch {
    throw .badRequest(error.description)
  }
}

extension Routes {
  /// Reads γ and β, in JSON or as a safetensors file. With a file, the query has the version that they are for:
  /// `?if_version=41`.
  ///
  /// - Throws: `HTTPFault` 400 with the part that is wrong, or 415.
  static func parameters(_ request: HTTPRequest) throws(HTTPFault) -> ParametersBody {
    let query = request.head.query
    guard request.head.mediaType == HTTPRequestHead.fileType else {
      try requireJSON(request.head, orElse: " or \(HTTPRequestHead.fileType)")
      guard query.isEmpty else {
        throw .badRequest("expected no query beside JSON, which has if_version as a member")
      }
      return try decodedBody(ParametersBody.self, request.body)
    }
    var version: Int?
    if !query.isEmpty {
      let words = query.split(separator: "=", omittingEmptySubsequences: false)
      version = words.count == 2 && words[0] == "if_version" ? Int(words[1]) : nil
      guard version != nil else {
        throw .badRequest("expected if_version=N in the query, found \(quoted(query))")
      }
    }
    do throws(UpdateBodyError) {
      return try ParametersBody(file: request.body, ifVersion: version)
    } catch {
      throw .badRequest(error.description)
    }
  }
}
