internal import Operators
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
