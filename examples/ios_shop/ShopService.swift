import Bonafide
import Foundation

/// What this build talks to. The two thumbprints are the first two lines of `bonafide_keys list`.
enum ShopService {
    static let origin = URL(string: "https://api.example.com") ?? URL(fileURLWithPath: "/")

    static let bonafide = Bonafide(
        service: origin.appendingPathComponent("bonafide/v1"), app: "shop",
        serviceKeys: ["the key's thumbprint", "the spare's thumbprint"], options: options)

    /// In the simulator, which has no App Attest, a secret of the staging service stands in: see README.md.
    private static var options: Bonafide.Options {
        var options = Bonafide.Options()
        #if DEBUG && targetEnvironment(simulator)
            options.identity = "ABCDE12345.com.example.shop"
            options.attestor = debugAttestor()
        #endif
        return options
    }

    #if DEBUG && targetEnvironment(simulator)
        private static func debugAttestor() -> DebugAttestor? {
            let text = ProcessInfo.processInfo.environment["SHOP_DEBUG_SECRET"] ?? ""
            let base64 = text.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
            let padding = String(repeating: "=", count: (4 - base64.count % 4) % 4)
            return Data(base64Encoded: base64 + padding).map {
                DebugAttestor(app: "shop", name: "simulator", secret: [UInt8]($0))
            }
        }
    #endif
}
