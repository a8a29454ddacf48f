internal import Operators

/// A drift chart in the JSON API. docs/HTTP.md explains each member.
package struct DriftView: Codable, Sendable, Equatable {
  @OrNull package var partition: Int?
  package var feature: String
  package var kind: String
  package var phase: String
  package var alarms: Int
  @OrNull package var score: Double?
  @OrNull package var size: Double?
  @OrNull package var reference: Double?
  @OrNull package var level: Double?
  @OrNull package var sinceBatch: Int?
  @OrNull package var sinceRecord: Int?
  @OrNull package var sinceSeconds: Double?
  package var text: String
}

/// The answer to `GET /api/v1/streams/{name}/drift`.
struct DriftChartsView: Encodable {
  var stream: String
  var charts: [DriftView]
}

extension DriftView {
  init(_ alarm: DriftAlarm) {
    self.init(
      partition: alarm.partition, feature: alarm.feature, kind: alarm.kind.name,
      phase: alarm.phase.name,
      alarms: alarm.alarms, score: finite(alarm.score), size: finite(alarm.size),
      reference: finite(alarm.reference), level: finite(alarm.level),
      sinceBatch: alarm.batch > 0 ? alarm.batch : nil,
      sinceRecord: alarm.batch > 0 ? alarm.record : nil, sinceSeconds: finite(alarm.seconds),
      text: alarm.text)
  }
}
