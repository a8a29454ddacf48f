internal import Configuration

/// The settings that several kinds of sockets have. Each call makes a setting of its own.
enum SocketSettings {
  static func allowRemote() -> Setting<Bool> {
    Setting(
      "allow_remote", .bool, default: false,
      help: "Whether to listen on an address that is not a loopback one.")
  }

  static func mode() -> Setting<UInt32> {
    Setting(
      "mode", .permissions, default: 0o600,
      help:
        "The permissions of the socket's file, in octal digits. A process that may write to the file "
        + "may connect.")
  }

  static func systemd(insteadOf key: String) -> Setting<String?> {
    Setting(
      "systemd", .text,
      help: "Instead of `\(key)`: the name of a socket of the service manager.")
  }
}
