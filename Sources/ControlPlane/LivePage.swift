/// The page at `/`: one file, built in, that asks the JSON API each second.
enum LivePage {
  private static let template = String(decoding: PackageResources.index_html, as: UTF8.self)

  /// The page under a policy that lets in its own script and style and nothing from elsewhere.
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
