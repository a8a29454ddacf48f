internal import BatchNormalization
internal import Codecs
package import Configuration
internal import Connectors
internal import Operators
internal import Records

// The settings of a stream that belong to no format, connector or operator. Their keys are within the section of the
// stream.

/// The settings of mini-batches.
package enum BatchSettings {
  package static let group = SettingGroup(
    "Batches", [size, maxDelay, minSize],
    presets: [
      preset(.pytorch, 256), preset(.keras, 256), preset(.river, 1), preset(.sklearn, 256),
      preset(.online, 1),
    ],
    rules: [
      SettingRule { values in
        guard let least = values[minSize], case .records(let size) = values[size], least > size
        else { return [] }
        return [
          SettingViolation(
            minSize, expected: .value("at most the batch size \(size)"), found: "\(least)")
        ]
      },
      SettingRule { values in
        guard values[NormalizeSettings.warmUpEmission] == .hold else { return [] }
        let records = values[NormalizeSettings.warmUpRecords]
        guard records > HeldBatches.mostRecords else { return [] }
        return [
          SettingViolation(
            NormalizeSettings.warmUpRecords,
            expected: .value("at most \(HeldBatches.mostRecords) records to hold"),
            found: "\(records)")
        ]
      },
      SettingRule { values in
        guard values[NormalizeSettings.mode] == .batch, values[size] == .records(1) else {
          return []
        }
        return [
          SettingViolation(
            size,
            expected: .value("at least 2 in mode batch, since a single value is its own mean"),
            found: "1, with which every y would be β")
        ]
      },
      .never([minSize], beside: NormalizeSettings.mode, is: .running),
      .never([maxDelay], beside: size, is: .recordBatch),
    ])

  private static func preset(_ name: NormalizationPreset, _ records: Int) -> SettingPreset {
    SettingPreset(NormalizeSettings.preset, is: name, sets: [.set(size, to: .records(records))])
  }

  package static let size = Setting(
    "batch.size", sizeType, default: .records(BatchOptions().size),
    option: .value("batch-size", "n"),
    help:
      "The number of records in a mini-batch. With `record_batch`, each record batch of Arrow is a mini-batch."
  )

  package static let maxDelay = Setting(
    "batch.max_delay", .seconds(in: 0...86_400), default: BatchOptions().maxDelaySeconds,
    option: .value(
      "max-delay", "duration",
      help: "Cut a batch at most this long after its first record; by default time cuts none."),
    need: .liveSource,
    help: "Live sources: a batch is cut at most this long after its first record.")

  package static let minSize = Setting(
    "batch.min_size", .integer(in: 1...BatchOptions.greatestSize),
    defaultText: "2, or the batch size if that is less", option: .value("min-batch-size", "n"),
    help: "Modes `batch` and `renorm`: a batch with fewer records is normalised by the running "
      + "moments.")

  private static let sizeType = SettingType<BatchSize>(
    expected: "\(counts.expected), or record_batch", form: .literal, range: counts.range,
    text: { size in
      if case .records(let count) = size { "\(count)" } else { "record_batch" }
    },
    parse: { (text) throws(SettingRefusal) in
      text == "record_batch" ? .recordBatch : .records(try counts.parse([text]))
    })

  private static let counts = SettingType.integer(in: 1...BatchOptions.greatestSize)
}

/// The size of mini-batches, as a user sets it.
package enum BatchSize: Sendable, Equatable {
  case records(Int)
  /// Each record batch of the input is a mini-batch.
  case recordBatch
}

/// The settings for records that cannot be read.
package enum BadRecordSettings {
  package static let group = SettingGroup(
    "Bad records", [onBadRecord, maxBytes, keep] + KafkaSettings.letters,
    rules: [
      SettingRule { values in
        let hasTopic = values[KafkaSettings.letterTopic] != nil
        if hasTopic, values[KafkaSettings.letterBrokers] == nil {
          return [
            SettingViolation(
              KafkaSettings.letterBrokers, expected: .value(KafkaSettings.letterBrokers.expected),
              found: "nothing")
          ]
        }
        let idle =
          hasTopic ? [maxBytes, keep] as [any SettingDescription] : KafkaSettings.letters
        return idle.filter(values.isGiven).map {
          SettingViolation(
            $0,
            expected: hasTopic
              ? .absence(beside: KafkaSettings.letterTopic, "TOPIC")
              : .other(KafkaSettings.letterTopic, is: "TOPIC"), found: "none")
        }
      },
      SettingRule { values in
        let policy = values[onBadRecord]
        guard values.isGiven(section: "dead_letters"), policy != .deadLetter else { return [] }
        return [
          SettingViolation(
            maxBytes, expected: .other(onBadRecord, is: BadRecordPolicy.deadLetter.rawValue),
            found: policy.rawValue, concernsSection: true)
        ]
      },
    ])

  package static let onBadRecord = Setting<BadRecordPolicy>(
    "on_bad_record", .choice, default: .fail, option: .value("on-bad-record", "policy"),
    help: "A bad record stops the stream (`fail`), is dropped (`skip`), or is dropped and kept "
      + "with the reason, in a file or a topic (`dead_letter`).")

  package static let maxBytes = Setting(
    "dead_letters.max_size", .size(in: 4 << 10...1 << 40), default: DeadLetterOptions().maxBytes,
    help: "The size at which a file of dead letters is full and the next one begins.")

  package static let keep = Setting(
    "dead_letters.keep", .integer(in: 0...1000), default: DeadLetterOptions().keep,
    help: "How many full files are kept.")
}

/// The settings of the output's compression.
package enum OutputSettings {
  static let rules: [SettingRule] = [.never([level], beside: compression, is: "off")]

  package static let compression = Setting(
    "compression", compressionType, defaultText: "by the sink",
    option: .flag("no-compress", means: "off", help: "Write the output uncompressed."),
    help: "Whether the output is compressed, `on` or `off`. By default a file is if its name ends "
      + "in `.zst`, and other sinks are.")

  package static let level = Setting(
    "compression.level", .integer(in: ZstdCompressor.levels), default: 1,
    option: .value("level", "n"),
    help: "The zstd level of the output. A level that is given compresses a file of any name.")

  /// The zstd level of an output; nil leaves it uncompressed.
  ///
  /// - Parameter isDefault: whether the sink compresses if the settings do not say.
  package static func level(_ values: SettingValues, compressed isDefault: Bool) -> Int? {
    let isCompressed =
      switch values[compression] {
      case "off": false
      case "on": true
      default: isDefault || values.isGiven(level) || values.isGiven(section: "compression")
      }
    return isCompressed ? values[level] : nil
  }

  private static let compressionType = SettingType<String>(
    expected: "a mapping, on or off", words: ["on", "off"], text: { $0 },
    parse: { (text) throws(SettingRefusal) in
      guard text == "on" || text == "off" else { throw SettingRefusal() }
      return text
    })
}

/// The settings of compressed input, and its limits.
package enum InputSettings {
  package static let dictionary = Setting(
    "dictionary", .path, option: .value("dictionary", "file"), optionType: .shellPath,
    help:
      "The zstd dictionary of the input's frames, a file of at most 64 MiB. It is read when the "
      + "stream starts, and again when a reload changes the stream.")

  package static let window = Setting(
    "limits.window", windowType, default: DecompressionOptions().codec.maxWindowLog,
    option: .value("long", "n", help: "Accept zstd frames with windows of up to 2^n bytes."),
    optionType: windowLogType,
    help: "zstd frames with a larger window are refused. A power of two.")

  package static let growth = Setting(
    "limits.growth", .integer(in: DecompressionOptions.growthRange),
    default: DecompressionOptions().maxGrowth, option: .value("max-growth", "n"),
    help: "A record above 1 MiB is refused if it is more than this many times as large as its "
      + "compressed bytes.")

  package static let batchBytes = Setting(
    "limits.batch_bytes", .size(in: 1 << 20...1 << 40), default: BatchOptions().maxBytes,
    help: "The most memory that a batch may take.")

  package static let rateRecords = Setting(
    "limits.rate.records", .integer(in: 1...1_000_000_000),
    help: "The most records that the stream takes in any second. The rest waits in the source.")

  package static let rateBytes = Setting(
    "limits.rate.bytes", .size(in: 1...1 << 40),
    help:
      "The most bytes, as they come, that the stream reads in any second. The rest waits in the source."
  )

  /// The exponent of a window whose size the file gives in bytes.
  private static let windowType = SettingType<Int>(
    expected: bytes.expected, range: bytes.range, text: { bytes.text(1 << $0) },
    parse: { (text) throws(SettingRefusal) in
      let size = try bytes.parse([text])
      guard size.nonzeroBitCount == 1 else {
        throw SettingRefusal(expected: "a power of two", found: "\(size) bytes")
      }
      return size.trailingZeroBitCount
    })

  private static let bytes = SettingType.size(
    in: 1
      << DecompressionOptions.windowLogRange
      .lowerBound...1 << DecompressionOptions.windowLogRange.upperBound)

  private static let windowLogType = SettingType.integer(in: DecompressionOptions.windowLogRange)
}

/// The settings of parameters, checkpoints and schema changes.
package enum StateSettings {
  package static let group = SettingGroup(
    "State",
    [
      parameters, watchesParameters, interval, everyBatches, keep, onMismatch, onSchemaChange,
      onBadSplit, dropsUnknown,
    ],
    rules: [
      SettingRule { values in
        let learns = values[LearnSettings.optimizer] != nil
        if learns, values[parameters] != nil {
          // At every start it would replace what was learned.
          let message =
            "expected no file beside \(LearnSettings.section), which it would undo at every start; "
            + "PUT …/parameters sets the first γ and β"
          return [SettingViolation(parameters, expected: .said(message), found: "")]
        }
        guard values.isGiven(section: "parameters"), values[parameters] == nil,
          !values.isGiven(section: LearnSettings.section) || values.isGiven(watchesParameters)
        else { return [] }
        return [
          SettingViolation(parameters, expected: .value(parameters.expected), found: "nothing")
        ]
      }
    ])

  package static let parameters = Setting(
    "parameters.file", .path, option: .value("parameters", "file"), optionType: .shellPath,
    help: "A safetensors file with γ and β, as `weight` and `bias`.")

  package static let watchesParameters = Setting(
    "parameters.watch", .bool, default: false,
    help: "Whether the file is read again when it changes, while the stream runs.")

  package static let interval = Setting(
    "checkpoint.interval", .seconds(in: waits),
    default: CheckpointOptions().schedule.intervalSeconds ?? 10,
    help: "The time between checkpoints. An idle stream is checkpointed too, this long after its "
      + "last record, or after a second if that is longer.")

  package static let everyBatches = Setting(
    "checkpoint.every_batches", .integer(in: 1...Int.max),
    option: .value(
      "checkpoint-every", "n",
      help: "With `--resume`: write a checkpoint after this many batches too, not only every 10 s."),
    need: .stateDirectory, help: "A checkpoint is also written after this many batches.")

  package static let keep = Setting(
    "checkpoint.keep", .integer(in: 1...1000), default: CheckpointOptions().keep,
    help: "How many whole checkpoints are kept, each with the deltas after it.")

  package static let onMismatch = Setting<MismatchPolicy>(
    "on_mismatch", .choice, default: .fail, option: .value("on-mismatch", "policy"),
    need: .checkpoint,
    help:
      "A checkpoint of other features or settings stops the stream (`fail`), gives its state to "
      + "the features that it knows (`match_by_name`), or is ignored (`reset`).")

  package static let onSchemaChange = Setting<SchemaChangePolicy>(
    "on_schema_change", .choice, default: .fail, need: .severalSplits,
    help:
      "A file (of `directory` or `follow`) with other columns than the stream stops the stream "
      + "(`fail`), is skipped (`skip`), or begins a new output file with its own header (`new_file`). "
      + "`new_file` matches the features by name.")

  package static let onBadSplit = Setting<BadSplitPolicy>(
    "on_bad_split", .choice, default: .fail, need: .severalFiles,
    help:
      "A file (of `directory` or `follow`) that cannot be read to its end, such as one with a damaged "
      + "frame, stops the stream (`fail`), or its rest is skipped (`skip`).")

  package static let dropsUnknown = Setting(
    "drop_unknown_state", .bool, default: false,
    option: .flag(
      "drop-unknown-state", help: "Drop state of a checkpoint that this version does not know."),
    need: .checkpoint,
    help:
      "Whether state of a checkpoint that no operator of this version knows is dropped. Otherwise "
      + "such a checkpoint is refused.")
}

/// The settings of restarts after a failure.
package enum RestartSettings {
  package static let group = SettingGroup(
    "Restart after a failure", [initial, max, resetAfter],
    rules: [
      SettingRule { values in
        guard values[max] < values[initial] else { return [] }
        return [
          SettingViolation(
            values.isGiven(max) ? max : initial, expected: .value("max to be at least initial"),
            found: "less")
        ]
      }
    ])

  package static let initial = Setting(
    "restart.initial", .seconds(in: waits), default: RestartOptions().initialSeconds,
    help: "The pause after the first failure. It doubles with each further one.")

  package static let max = Setting(
    "restart.max", .seconds(in: waits), default: RestartOptions().maxSeconds,
    help: "The longest pause.")

  package static let resetAfter = Setting(
    "restart.reset_after", .seconds(in: waits), default: RestartOptions().resetAfterSeconds,
    help: "After a run of this length, the next failure counts as the first one.")
}

/// The range of durations to wait, in seconds.
private let waits = 0.001...86_400.0
