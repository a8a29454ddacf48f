/// The page at `/`: one built-in file that requests the JSON API each second.
enum LivePage {
  private static let template = String(decoding: PackageResources.index_html, as: UTF8.self)

  /// The page, with a policy that only allows its own script and style.
  static func response() -> HTTPResponse {
    var generator = SystemRandomNumberGenerator()
    let nonce = String(generator.next(), radix: 36) + String(generator.next(), radix: 36)
    let policy = [
      "default-src 'none'", "script-src 'nonce-\(nonce)'", "style-src 'nonce-\(nonce)'",
      "connect-src 'self'", "img-src data:", "base-uri 'none'", "form-action 'none'",
      "frame-ancestors 'none'",
    ]
    return HTTPResponse(
      contentType: "text/html; charset=utf-8",
      fields: [
        "Content-Security-Policy": policy.joined(separator: "; "),
        "Referrer-Policy": "no-referrer",
      ],
      body: Array(template.replacing("NONCE", with: nonce).utf8))
  }
}
