/// Reports changed files and directories of a file system, without polling. `FileSystem.watch()` makes one.
package protocol FileWatch: AnyObject, Sendable {
  /// The descriptor that is readable while an event waits.
  var descriptor: Int32 { get }
  /// Starts to watch the file or directory at `path`.
  ///
  /// - Returns: a number for the watch. A second path of the same file gives the same number.
  @discardableResult
  func watch(_ path: String, for events: FileEvents) throws(FileError) -> Int32
  /// Ends a watch. It is no error if the watch has ended already.
  func forget(_ watch: Int32)
  /// Returns the events since the last call, in the order in which they happened.
  func events() throws(FileError) -> [FileEvent]
}

/// A set of changes of files and directories. The bits are those of inotify(7).
package struct FileEvents: OptionSet, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package static let modified = FileEvents(rawValue: 0x2)
  package static let attributes = FileEvents(rawValue: 0x4)
  package static let closedAfterWriting = FileEvents(rawValue: 0x8)
  package static let movedFrom = FileEvents(rawValue: 0x40)
  package static let movedTo = FileEvents(rawValue: 0x80)
  package static let created = FileEvents(rawValue: 0x100)
  package static let deleted = FileEvents(rawValue: 0x200)
  /// The watched file or directory itself was deleted.
  package static let deletedItself = FileEvents(rawValue: 0x400)
  /// The watched file or directory itself was renamed.
  package static let movedItself = FileEvents(rawValue: 0x800)
  /// Events were lost, because they were not read in time.
  package static let overflow = FileEvents(rawValue: 0x4000)
  /// The watch has ended, because the watched file was deleted or unmounted.
  package static let ignored = FileEvents(rawValue: 0x8000)
}

/// One change of a watched file or directory.
package struct FileEvent: Sendable, Equatable {
  /// The number that `FileWatch.watch` returned; -1 for an overflow.
  package var watch: Int32
  package var events: FileEvents
  /// The name in a watched directory; empty for the watched file or directory itself.
  package var name: String

  package init(watch: Int32, events: FileEvents, name: String = "") {
    self.watch = watch
    self.events = events
    self.name = name
  }
}
