internal import Configuration
internal import Connectors
internal import Operators
internal import Records
internal import Storage

/// The source of a stream's gradients, and their form.
struct GradientInput: Sendable {
  var open: SourceFactory
  var format: GradientFormat
  /// Whether the source begins a split only after the end of the one before it.
  var keepsSplitOrder: Bool

  /// A file that grows, which may come later, or a FIFO.
  init(path: String, _ format: GradientFormat = .ndjson) {
    self.format = format
    keepsSplitOrder = true
    open = { context throws(FileError) in
      let isFIFO = (try? context.fileSystem.status(of: path).kind) == .fifo
      if isFIFO { return try FIFOSource(path, create: false) }
      return try FollowSource(path, start: .beginning, in: context)
    }
  }

  /// A source of a kind that has no end.
  init(_ source: SourceDefinition, _ format: GradientFormat) {
    open = source.open
    self.format = format
    keepsSplitOrder = source.kind.splits == .files || source.kind.name == SourceKind.fifo.name
  }

  /// The gradients that the settings of a stream name; nil if there are none.
  init?(_ definition: StreamDefinition) {
    let settings = definition.stream.operatorSettings
    let format = settings[LearnSettings.gradientFormat]
    if let source = definition.gradients {
      self.init(source, format)
    } else if let path = settings[LearnSettings.gradients] {
      self.init(path: path, format)
    } else {
      return nil
    }
  }
}

extension GradientFormat {
  /// The form of the ends of gradients.
  var recordEnds: RecordEnds {
    switch self {
    case .ndjson: .lines(quote: nil)
    case .arrow: .arrowMessages
    }
  }
}
