internal import Codecs
internal import Configuration
internal import Connectors
internal import Operators
internal import Records
internal import State
package import Storage

/// Applies recorded gradients to the γ and β of a checkpoint, without the records between them.
///
/// Each line counts for the γ and β in force: without batches, the versions differ from those that were recorded.
package struct GradientReplay {
  /// The checkpoint with γ, β and the memory of the optimizer after the lines so far. It keeps the positions of the
  /// one that it began with.
  package var checkpoint: Checkpoint {
    var checkpoint = start
    checkpoint.state = operators.state
    return checkpoint
  }
  /// The lines that were applied.
  package private(set) var steps = 0
  private let start: Checkpoint
  private let format: GradientFormat
  private var operators: OperatorChain

  /// - Parameter configuration: that of a stream that learns.
  /// - Throws: an error if the stream does not learn, or if the checkpoint does not fit it.
  package init(_ checkpoint: Checkpoint, _ configuration: StreamConfiguration) throws(StreamError) {
    guard configuration.learns else {
      throw .configuration(
        "\(configuration.name): expected \(LearnSettings.section) in its settings, found nothing")
    }
    try Self.requireFeatures(of: configuration, in: checkpoint.state.features.names)
    start = checkpoint
    format = configuration.operatorSettings[LearnSettings.gradientFormat]
    operators =
      try InitialState(checkpoint: checkpoint)
      .open(configuration, for: checkpoint.state.features).operators
  }

  /// Refuses a checkpoint of other features than the stream names. Elements of vectors are not compared, since only a
  /// record tells how many there are.
  private static func requireFeatures(
    of configuration: StreamConfiguration, in names: [String]
  ) throws(StreamError) {
    let patterns = configuration.decoder.features
    let absent = patterns.first { pattern in
      !pattern.isGlob && !pattern.text.contains("[") && !names.contains(where: pattern.matches)
    }
    let surplus = names.first { name in
      !patterns.isEmpty && !name.contains("[") && !patterns.contains { $0.matches(name) }
    }
    guard absent == nil, surplus == nil else {
      throw .configuration(
        "\(configuration.name): expected a checkpoint with the features of the stream, found one "
          + (absent.map { "without \(quoted($0.text))" } ?? "with \(quoted(surplus ?? "")) too"))
    }
  }

  /// Applies lines of a file in their order, and leaves the others out.
  ///
  /// - Parameter lines: the numbers of the lines, from 1.
  /// - Throws: an error for the first line that cannot be used.
  package mutating func apply(
    _ lines: ClosedRange<Int>, of path: String, in fileSystem: any FileSystem
  ) throws(StreamError) {
    let kind: FileStatus.Kind
    do throws(FileError) {
      kind = try fileSystem.status(of: path).kind
    } catch {
      throw error.isMissing ? .inputMissing(error) : .inputOutput(error)
    }
    // To open a FIFO would wait for a writer.
    guard kind == .regular else { throw .badFile(.notRegular(path: path, found: kind)) }
    var feed: GradientFeed
    do throws(FileError) {
      // Every batch is over.
      feed = GradientFeed(
        try FileSource(fileSystem.open(path, for: .reading)), format, batches: .max)
    } catch {
      throw error.isMissing ? .inputMissing(error) : .inputOutput(error)
    }
    while true {
      let line: GradientFeed.Line?
      do throws(FileError) { line = try feed.take() } catch { throw .inputOutput(error) }
      guard let line, line.number <= lines.upperBound else { return }
      let gradients: [GradientLine]
      do throws(UpdateBodyError) {
        gradients = try line.content.get()
      } catch {
        if line.number < lines.lowerBound { continue }
        throw refusal(of: line.number, in: path, "\(error)")
      }
      // A record batch has several.
      for (number, each) in zip(line.number..., gradients) where lines.contains(number) {
        try apply(each.body, number, of: path)
      }
    }
  }

  private mutating func apply(
    _ body: GradientsBody, _ number: Int, of path: String
  ) throws(StreamError) {
    var body = body
    body.version = operators.parametersVersion
    body.isReplayed = true
    do throws(OperatorError) {
      try operators.apply(StreamUpdate("gradients", body))
    } catch {
      throw refusal(of: number, in: path, "\(error)")
    }
    steps += 1
  }

  private func refusal(of number: Int, in path: String, _ reason: String) -> StreamError {
    .badFile(.content(path: path, .invalidJSON(part: "line \(number)", reason: reason)))
  }
}
