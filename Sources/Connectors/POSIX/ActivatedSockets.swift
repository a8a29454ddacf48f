internal import Glibc

/// The sockets that the service manager opened for this process, as sd_listen_fds(3) defines.
struct ActivatedSockets: Sendable {
  /// The sockets that this process inherited.
  static let inherited = ActivatedSockets(
    processIdentifier: Int(getpid()),
    variable: { name in getenv(name).map { String(cString: $0) } })

  /// The names of the descriptors, in the order of the descriptors.
  private let names: [String]
  private let firstDescriptor: CInt

  /// - Parameter variable: returns the value of an environment variable.
  init(processIdentifier: Int, firstDescriptor: CInt = 3, variable: (String) -> String?) {
    self.firstDescriptor = firstDescriptor
    guard variable("LISTEN_PID").flatMap({ Int($0) }) == processIdentifier,
      let count = variable("LISTEN_FDS").flatMap({ Int($0) }), (0...100_000).contains(count)
    else {
      names = []
      return
    }
    let given = (variable("LISTEN_FDNAMES") ?? "").split(
      separator: ":", omittingEmptySubsequences: false)
    names = (0..<count).map { $0 < given.count ? String(given[$0]) : "unknown" }
  }

  /// The descriptor with this name; the first if there are several, nil if there is none.
  func descriptor(named name: String) -> CInt? {
    names.firstIndex(of: name).map { firstDescriptor + CInt($0) }
  }
}
