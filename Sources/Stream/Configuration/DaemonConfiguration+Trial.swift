package import Configuration
internal import Connectors
internal import Records
package import Storage

extension DaemonConfiguration {
  /// Tries everything that streams would open. Takes no data and changes nothing.
  ///
  /// - Returns: the failures, each with its place in the configuration file.
  package func tryConnecting(
    in fileSystem: any FileSystem = POSIXFileSystem()
  ) -> [ConfigurationError] {
    var errors: [ConfigurationError] = []
    collect(into: &errors, at: places.stateDirectory) {
      // If it does not exist yet, the directory above it must allow to make it.
      var path = stateDirectory + "/lock"
      while (try? fileSystem.status(of: parentDirectory(of: path))) == nil,
        parentDirectory(of: path) != path
      {
        path = parentDirectory(of: path)
      }
      _ = try AtomicFile(replacing: path + ".check", in: fileSystem)
    }
    for stream in streams {
      errors += stream.tryConnecting(stateDirectory: stateDirectory, in: fileSystem)
    }
    return errors
  }
}

extension StreamDefinition {
  fileprivate func tryConnecting(
    stateDirectory: String, in fileSystem: any FileSystem
  ) -> [ConfigurationError] {
    let context = ConnectorContext(fileSystem: fileSystem)
    var sinkContext = context
    var errors: [ConfigurationError] = []
    // The service manager opens its sockets only when it starts the service.
    let sources = (source.parts.isEmpty ? [source] : source.parts) + [gradients].compactMap(\.self)
    for part in sources where !part.location.isInherited {
      collect(into: &errors, at: part.location.place) {
        try part.kind.trial.run(path: part.location.path, in: fileSystem) {
          () throws(FileError) in
          let opened = try part.open(SourceContext(context))
          if stream.keepsMessages, part.location.text == source.location.text {
            sinkContext.sourcePartitions = opened.partitionCount
          }
        }
      }
    }
    if !sink.location.isInherited {
      collect(into: &errors, at: sink.location.place) {
        try sink.kind.trial.run(path: sink.location.path, in: fileSystem) {
          () throws(FileError) in _ = try sink.open(sinkContext)
        }
      }
    }
    if let partitions {
      collect(into: &errors, at: place) {
        () throws(FileError) in _ = try partitions.find(in: context, changes: false)
      }
    }
    if let letterTopic {
      collect(into: &errors, at: place) { _ = try letterTopic(sinkContext) }
    }
    if let parameters {
      collect(into: &errors, at: parameters.place) {
        _ = try ParametersFile.read(parameters.file, in: fileSystem)
      }
    }
    let directory = directory(in: stateDirectory)
    collect(into: &errors, at: place) {
      // A stream that never ran has none.
      guard (try? fileSystem.status(of: directory)) != nil else { return }
      let found = try CheckpointStore.newest(in: directory, stream.stateReading, of: fileSystem)
      guard let checkpoint = found?.checkpoint else { return }
      // A reload takes the part that fits, so other settings alone are no failure.
      var configuration = stream
      configuration.onMismatch = .matchByName
      var initial = InitialState()
      initial.checkpoint = checkpoint
      _ = try initial.open(configuration, for: FeatureSchema(checkpoint.features))
    }
    return errors
  }
}

/// Adds what `trial` throws to `errors`.
private func collect(
  into errors: inout [ConfigurationError], at place: ConfigurationPlace, _ trial: () throws -> Void
) {
  do {
    try trial()
  } catch {
    errors.append(place.error(message(of: error, at: place)))
  }
}

/// The message of an error, without a path that a variable gave.
private func message(of error: any Error, at place: ConfigurationPlace) -> String {
  guard let written = place.written else { return Catalogue.wordsOfFile("\(error)") }
  switch error {
  case let error as FileError:
    return "\(error.shown(as: written))"
  case StorageError.file(let error): return message(of: error, at: place)
  default: return "cannot use the file that \(written) names"
  }
}
