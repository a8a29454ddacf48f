internal import Codecs
internal import ConfigurationFile
internal import Records

/// How the settings of a format are read from a configuration file; a format without settings is not
/// named here.
struct FormatSettings: Sendable {
  /// The name in `BuiltInFormats.all`.
  let format: String
  let read: @Sendable (ConfigurationSection, inout DecoderOptions) -> Void

  static let all: [FormatSettings] = [
    FormatSettings(format: "csv") { section, options in
      options.hasHeader = section.bool("header", default: options.hasHeader)
      options.missingTokens = section.strings("missing_tokens", default: options.missingTokens)
      let delimiter = section.string("delimiter", default: ",")
      let bytes = Array((delimiter == "\\t" ? "\t" : delimiter).utf8)
      if bytes.count == 1 {
        options.delimiter = bytes[0]
      } else {
        section.report("delimiter", expected: "one ASCII character", found: "'\(delimiter)'")
      }
    },
    FormatSettings(format: "raw") { section, options in
      options.rawColumns = section.int("columns", in: 1...options.limits.fields, default: nil)
      options.rawScalar = section.choice("scalar", default: options.rawScalar)
    },
  ]
}
