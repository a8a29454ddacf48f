internal import Operators
internal import Stream
internal import Supervision

/// The routes that tell what happened in a stream.
extension Routes {
  /// The answer to `GET /api/v1/streams/{name}/events`: the last events as JSON, or as server-sent events if the client
  /// accepts these.
  ///
  /// A stream of events ends with the last one that there is, and asks the client to come again after a second. The
  /// client then names the last event that it has (`Last-Event-ID`), as every EventSource does. So an idle reader holds no
  /// connection.
  func events(of stream: String, _ head: HTTPRequestHead) throws(HTTPFault) -> HTTPResponse {
    let last: Int
    if let text = head.fields["last-event-id"] {
      guard let number = Int(text), number >= 0 else {
        throw .badRequest("expected the number of an event in Last-Event-ID")
      }
      last = number
    } else {
      last = 0
    }
    let events: [LoggedEvent]
    do {
      events = try supervision.events(of: stream, after: last)
    } catch {
      throw HTTPFault(error)
    }
    guard (head.fields["accept"] ?? "").contains("text/event-stream") else {
      return HTTPResponse(json: EventsView(stream: stream, events: events))
    }
    var text = "retry: 1000\n\n"
    for event in events {
      text += "id: \(event.number)\nevent: \(event.event.kind.name)\ndata: \(event.json())\n\n"
    }
    return HTTPResponse(contentType: "text/event-stream", body: Array(text.utf8))
  }

  /// The answer to `GET /api/v1/streams/{name}/drift`.
  func drift(of stream: String) throws(HTTPFault) -> HTTPResponse {
    do {
      let charts = try supervision.drift(of: stream).map(DriftView.init)
      return HTTPResponse(json: DriftChartsView(stream: stream, charts: charts))
    } catch {
      throw HTTPFault(error)
    }
  }
}

/// The answer to `GET /api/v1/streams/{name}/events`.
private struct EventsView: Encodable {
  var stream: String
  var events: [LoggedEvent]
}
