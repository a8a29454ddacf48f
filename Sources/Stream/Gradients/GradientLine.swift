internal import Codecs
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

  package init(_ body: GradientsBody, afterBatch: Int? = nil) {
    self.body = body
    self.afterBatch = afterBatch
  }
}

extension GradientLine {
  /// Reads a line that has only numbers. Thousands of them may come a second.
  ///
  /// - Returns: nil for any other line, and for one that is wrong.
  package init?(plain bytes: [UInt8]) {
    guard let found = NumberMembers(bytes) else { return nil }
    var counts: [String: Int] = [:]
    var arrays: [String: NumberMembers.Value] = [:]
    for (name, value) in found.members {
      switch (name, value) {
      case ("version", .whole(let number)): counts[name] = number
      case ("count", .whole(let number)), ("after_batch", .whole(let number)):
        guard number >= 0 else { return nil }
        counts[name] = number
      case ("weight_grad", .numbers), ("bias_grad", .numbers), ("y", .rows), ("y_grad", .rows):
        arrays[name] = value
      default: return nil
      }
    }
    guard let version = counts["version"], arrays.count == 2 else { return nil }
    let content: GradientsBody.Content
    switch (arrays["weight_grad"], arrays["bias_grad"], arrays["y"], arrays["y_grad"]) {
    case (.numbers(let weight)?, .numbers(let bias)?, _, _):
      content = .sums(weight: weight, bias: bias)
    case (_, _, .rows(let y)?, .rows(let gradients)?): content = .rows(y: y, gradients: gradients)
    default: return nil
    }
    self.init(
      GradientsBody(version: version, count: counts["count"], content),
      afterBatch: counts["after_batch"])
  }
}
