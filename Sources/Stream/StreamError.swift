package import Codecs
package import Dataflow
package import Operators
package import Storage

/// The reason why a stream stopped: one line for the user, and an exit code.
package enum StreamError: Error, CustomStringConvertible {
  /// A record that cannot be read. Records count from 1. The offset, from 0, is that of the record's first byte in
  /// the decompressed stream; nil if it is not known any more.
  case badRecord(stream: String, record: Int, byteOffset: Int?, fault: RecordFault)
  /// Input that cannot be decompressed, or that the decoder refuses as a whole.
  case badInput(stream: String, InputFault)
  /// Input that has changed since the checkpoint was taken, so that the stream cannot resume.
  case inputChanged(stream: String, String)
  /// Records that cannot be normalised.
  case badNumbers(stream: String, records: ClosedRange<Int>, OperatorError)
  /// Records to hold until the stream is warm that take too much memory.
  case heldTooMany(stream: String, mostBytes: Int)
  /// A file beside the stream, such as a checkpoint, that cannot be used.
  case badFile(StorageError)
  /// A state directory that another process holds, or that cannot take another checkpoint.
  case stateRefused(StorageError)
  case inputMissing(FileError)
  case outputRefused(FileError)
  case inputOutput(FileError)
  /// Settings with which the format cannot read or write.
  case format(stream: String, FormatError)
  /// A level or a dictionary that the codec of the output refuses.
  case compression(stream: String, CompressionError)
  /// Settings, or a state, that an operator refuses.
  case operators(stream: String, OperatorError)
  /// A thread that the system does not give.
  case threads(ThreadError)
  case configuration(String)
  /// Another process has claimed the partition whose state the stream kept. It is final if that process is newer.
  case claimed(stream: String, partition: String, by: String, isFinal: Bool)
  /// A drain took too long, because the reader did not take the output in time.
  case notDrained(stream: String)
  /// A drain found no reader of the output.
  case noReader(stream: String, records: Int)
  /// The stream was interrupted by a signal of signal(7).
  case interrupted(stream: String, records: Int, signal: Int32)

  /// A file beside the stream that could not be read or written.
  package init(_ error: StorageError) {
    switch error {
    case .file(let error): self = error.isMissing ? .inputMissing(error) : .inputOutput(error)
    case .notRegular, .tooLarge, .content, .noWholeCheckpoint: self = .badFile(error)
    case .stateDirectoryInUse, .noNumberLeft: self = .stateRefused(error)
    }
  }

  /// The exit code, of sysexits(3).
  package var exitCode: Int32 {
    switch self {
    case .badRecord, .badInput, .inputChanged, .badNumbers, .heldTooMany, .badFile: 65
    case .stateRefused, .claimed, .notDrained, .noReader: 75
    case .inputMissing: 66
    case .outputRefused: 73
    case .inputOutput: 74
    case .format, .compression, .operators, .threads, .configuration: 78
    case .interrupted(_, _, let signal): 128 + signal
    }
  }

  /// Whether records or a split cannot be read. Then every run that reads them fails in the same way.
  var isInput: Bool {
    switch self {
    case .badRecord, .badInput: true
    default: false
    }
  }

  /// The description without the contents of records, for a log that other users may read.
  package var withoutContents: String {
    guard case .badRecord(let stream, let record, let byteOffset, let fault) = self else {
      return description
    }
    return "\(stream): \(recordPlace(record, byteOffset)): expected \(fault.expected)"
  }

  package var description: String {
    switch self {
    case .badRecord(let stream, let record, let byteOffset, let fault):
      "\(stream): \(recordPlace(record, byteOffset)): \(fault)"
    case .badInput(let stream, let fault): "\(stream): \(fault)"
    case .inputChanged(let stream, let gap):
      "\(stream): the input has changed since the checkpoint was taken: \(gap)"
    case .badNumbers(let stream, let records, let reason):
      "\(stream): records \(grouped(records.lowerBound)) to \(grouped(records.upperBound)): \(reason)"
    case .heldTooMany(let stream, let mostBytes):
      "\(stream): warm-up: expected to hold at most \(mostBytes) bytes, found more; lower "
        + "warm_up.records"
    case .badFile(let error), .stateRefused(let error): "\(error)"
    case .inputMissing(let error), .outputRefused(let error), .inputOutput(let error):
      "\(error)"
    case .format(let stream, let error): "\(stream): \(error)"
    case .compression(let stream, let error): "\(stream): \(error)"
    case .operators(let stream, let error): "\(stream): \(error)"
    case .threads(let error): "\(error)"
    case .configuration(let reason): reason
    case .claimed(let stream, let partition, let owner, let isFinal):
      "\(stream): \(owner) has claimed \(partition), which has one owner: this run of it ends"
        + (isFinal ? "; name it in the 'partitions' of one process only" : "")
    case .notDrained(let stream):
      "\(stream): stopped before all records that were read could be emitted"
    case .noReader(let stream, let records):
      "\(stream): stopped without a reader: nobody took \(grouped(records)) records that were read; the next "
        + "start reads them again from files, those of a socket, a FIFO or a pipe are lost"
    case .interrupted(let stream, let records, _):
      "\(stream): interrupted after \(grouped(records)) records; no output was made"
    }
  }
}

/// The place of a record in messages.
func recordPlace(_ record: Int, _ byteOffset: Int?) -> String {
  "record \(grouped(record))" + (byteOffset.map { ", byte \(grouped($0))" } ?? "")
}

/// A count with its digits in groups of three, as in 40 233.
package func grouped(_ count: Int) -> String {
  var digits = String(count)
  var place = digits.count - 3
  while place > (count < 0 ? 1 : 0) {
    digits.insert(" ", at: digits.index(digits.startIndex, offsetBy: place))
    place -= 3
  }
  return digits
}
