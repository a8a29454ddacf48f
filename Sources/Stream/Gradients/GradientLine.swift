package import Operators
internal import State

/// One line of a file of gradients: what the update `gradients` takes, and when.
package struct GradientLine: SentObject {
  package var body: GradientsBody
  /// The number of batches that the stream has cut before; nil for the next moment between two batches.
  package var afterBatch: Int?

  package static let members = GradientsBody.members + [CodingKeys.afterBatch.rawValue]

  private enum CodingKeys: String, CodingKey { case afterBatch = "after_batch" }

  package init(from decoder: any Decoder) throws {
    body = try GradientsBody(from: decoder)
    let container = try decoder.container(keyedBy: CodingKeys.self)
    afterBatch = try container.decodeIfPresent(Int.self, forKey: .afterBatch)
    if let afterBatch, !(0...StateColumn.countLimit).contains(afterBatch) {
      throw UpdateBodyError("after_batch: expected a whole number from 0 to 2^53")
    }
  }
}
