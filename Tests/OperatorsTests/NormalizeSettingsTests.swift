import BatchNormalization
import Configuration
import Testing

@testable import Operators

/// The ranges of the numbers of a normaliser, which only these descriptions hold.
struct NormalizeSettingsTests {
  private static let notPositive = ["0", "-1", "nan", "inf"]
  private static let negative = ["-1", "nan", "inf"]

  private static let refused: [(any SettingDescription, [String])] = [
    (NormalizeSettings.epsilon, negative), (NormalizeSettings.epsilonRelative, negative),
    (NormalizeSettings.momentum, ["0", "-0.1", "1.1", "nan"]),
    (NormalizeSettings.halfLifeRecords, notPositive),
    (NormalizeSettings.halfLifeSeconds, ["0s", "-1s", "nan", "inf"]),
    (NormalizeSettings.clip, notPositive), (NormalizeSettings.varianceFloor, negative),
    (NormalizeSettings.renormMaxScale, negative + ["0.99"]),
    (NormalizeSettings.renormMaxShift, negative), (NormalizeSettings.warmUpRecords, ["-1", "0.5"]),
  ]

  @Test func `a number out of its range is refused`() {
    for (setting, texts) in Self.refused {
      for text in texts {
        for place in [SettingPlace.file, .commandLine] {
          #expect(throws: SettingRefusal.self, "\(setting.key ?? "") \(text)") {
            try setting.parse([text], as: place)
          }
        }
      }
    }
  }

  @Test(arguments: [
    (NormalizeSettings.momentum as any SettingDescription, "1"),
    (NormalizeSettings.varianceFloor, "0"), (NormalizeSettings.epsilon, "0"),
    (NormalizeSettings.epsilonRelative, "0"), (NormalizeSettings.renormMaxScale, "1"),
    (NormalizeSettings.renormMaxShift, "0"), (NormalizeSettings.warmUpRecords, "0"),
  ])
  func `the limits of each range are allowed`(setting: any SettingDescription, text: String) throws
  {
    _ = try setting.parse([text], as: .file)
  }

  @Test(arguments: NormalizationPreset.allCases)
  func `each value of a preset is in the range of its setting`(preset: NormalizationPreset) throws {
    let groups = [NormalizeSettings.group]
    let values = try CommandLineSettings(["--preset", preset.rawValue], of: groups, others: [])
      .read(groups)
    for setting in NormalizeSettings.group.settings {
      guard let text = setting.text(in: values) else { continue }
      #expect(throws: Never.self, "\(setting.key ?? ""): \(text)") {
        try setting.parse([text], as: .file)
      }
    }
  }
}
