package import BatchNormalization
package import Configuration
internal import Records

// The classes of a stream, whose moments are mixed by priors.
extension NormalizeSettings {
  package static let weightClass = Setting(
    RoleColumn.classKey, .text(called: "a column"), option: .value("weight-class", "name"),
    help:
      "A column with the class of each record. Each class has moments of its own, and `weight.prior` says how much each "
      + "counts in those that normalise, however often it comes just now.")

  package static let weightPrior = Setting<[ClassShare]>(
    "weight.prior", sharesType(expected: "balanced, or a mapping such as { a: 0.7, b: 0.3 }"),
    default: [],
    option: .value(
      "weight-prior", "shares",
      help:
        "With classes: the share of each, such as a=0.7,b=0.3, divided by the sum of all; or `balanced`, by which all that "
        + "come count alike. Records of other classes count for nothing."),
    optionType: sharesType(expected: "balanced, or classes with numbers such as a=0.7,b=0.3"),
    help:
      "With classes: the share of each, such as `{ a: 0.7, b: 0.3 }`, divided by the sum of all; or `balanced`, by "
      + "which all that come count alike. Records of other classes count for nothing.")

  private static func sharesType(expected: String) -> SettingType<[ClassShare]> {
    SettingType(
      expected: expected, form: .mapping, text: shareText,
      list: { (texts) throws(SettingRefusal) in
        if texts == ["balanced"] { return [] }
        var shares: [ClassShare] = []
        for text in texts {
          guard let equals = text.lastIndex(of: "=") else { throw SettingRefusal() }
          let (name, number) = (text[..<equals], text[text.index(after: equals)...])
          guard RecordKey.bytes(of: [Array(name.utf8)]) != nil else {
            throw SettingRefusal(
              expected: "names of 1 to \(RecordKey.longest) bytes", found: quoted(name))
          }
          guard let share = Double(number), share.isFinite, share > 0 else {
            throw SettingRefusal(
              expected: "a share above 0 of class \(quoted(name))", found: quoted(number))
          }
          guard !shares.contains(where: { $0.name == name }) else {
            throw SettingRefusal(
              expected: "each class once", found: "\(quoted(name)) twice")
          }
          shares.append(ClassShare(name: String(name), share: share))
        }
        guard 1...ClassSettings.most ~= shares.count else {
          throw SettingRefusal(
            expected: "1 to \(ClassSettings.most) classes", found: "\(shares.count)")
        }
        return shares
      })
  }

  /// The shares as an option spells them, such as `a=0.7,b=0.3`.
  package static func shareText(_ shares: [ClassShare]) -> String {
    guard !shares.isEmpty else { return "balanced" }
    return shares.map { share in
      let text = "\(share.name)=\(numberText(share.share))"
      let isPlain = !text.hasPrefix("\"") && !text.contains(",")
      return isPlain ? text : "\"" + text.replacing("\"", with: "\"\"") + "\""
    }.joined(separator: ",")
  }

  /// The classes that the values have; nil without them.
  static func classes(_ values: SettingValues) -> ClassSettings? {
    values[weightClass].map { ClassSettings(column: $0, shares: values[weightPrior]) }
  }

  /// The classes that a checkpoint names; nil if it names none.
  ///
  /// - Parameter settings: those of the checkpoint, as text.
  package static func classes(ofCheckpoint settings: [String: String]) -> ClassSettings? {
    guard let column = settings["class"], let text = settings["class_prior"],
      let shares = try? weightPrior.type.parse(listElements(text))
    else { return nil }
    return ClassSettings(column: column, shares: shares)
  }

  /// The needs of classes that the values do not meet.
  @Sendable static func classViolations(_ values: SettingValues) -> [SettingViolation] {
    guard values[weightClass] != nil else {
      guard values.isGiven(weightPrior) else { return [] }
      return [
        SettingViolation(weightPrior, expected: .other(weightClass, is: "NAME"), found: "none")
      ]
    }
    func refused(_ reason: String) -> [SettingViolation] {
      [SettingViolation(weightClass, expected: .said("expected \(reason)"), found: "")]
    }
    if values[keyColumns] != nil {
      return refused("no keys beside it, found both: a key has too few records of each class")
    }
    return refusal(NormalizationSettings(values), of: "class").map(refused) ?? []
  }
}
