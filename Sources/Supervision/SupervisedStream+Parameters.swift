internal import BatchNormalization
internal import Dataflow
internal import Logging
internal import Operators
internal import Storage
internal import Stream

/// The file of γ and β.
extension SupervisedStream {
  /// Takes a new parameters file between two batches. Refuses a bad one, and keeps the old parameters.
  func watchParameters(_ attempt: Int) {
    threads.run(on: queue, afterSeconds: 1) { [weak self] in
      guard let self, attempt == self.attempt, run != nil else { return }
      takeNewParameters()
      watchParameters(attempt)
    }
  }

  private func takeNewParameters() {
    guard let file = definition.parameters?.file,
      let version = try? fileSystem.status(of: file), version != parametersVersion
    else { return }
    parametersVersion = version
    let parameters: Parameters
    do {
      parameters = try ParametersFile.read(file, in: fileSystem)
    } catch {
      return refused("\(error)")
    }
    let update = StreamUpdate("parameters", ParametersBody(parameters))
    run?.request(.update(update)) { result in
      self.queue.async {
        switch result {
        case .success:
          self.show { $0.warnings = [] }
          self.logger.notice("took new parameters", metadata: ["file": "\(file)"])
        // The next run reads the file itself.
        case .failure(.notRunning): break
        case .failure(let refusal): self.refused("\(file): \(refusal)")
        }
      }
    }
  }

  private func refused(_ reason: String) {
    let warning = "refused new parameters, the old stay: \(reason)"
    show { $0.warnings = [warning] }
    logger.error("\(warning)")
  }
}
