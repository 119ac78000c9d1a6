// What the SDK uses of DeviceCheck, on Linux: the same names and errors as Apple documents them, answered by a script.

public import Foundation

/// As DeviceCheck's, its codes with Apple's numbers.
public struct DCError: Error, Hashable, Sendable {
    public enum Code: Int, Sendable {
        case unknownSystemFailure = 0
        case featureUnsupported = 1
        case invalidInput = 2
        case invalidKey = 3
        case serverUnavailable = 4
    }

    public let code: Code

    public init(_ code: Code, userInfo: [String: Any] = [:]) { self.code = code }
}

/// What App Attest answers in the task that asks, so that tests side by side have a script each.
package struct AppAttestScript: Sendable {
    @TaskLocal package static var current = AppAttestScript(isSupported: false)

    package var isSupported: Bool
    package var generateKey: @Sendable () async throws -> String
    package var attestKey: @Sendable (String, Data) async throws -> Data
    package var generateAssertion: @Sendable (String, Data) async throws -> Data

    package init(
        isSupported: Bool = true,
        generateKey: @escaping @Sendable () async throws -> String = { throw DCError(.featureUnsupported) },
        attestKey: @escaping @Sendable (String, Data) async throws -> Data = { _, _ in
            throw DCError(.featureUnsupported)
        },
        generateAssertion: @escaping @Sendable (String, Data) async throws -> Data = { _, _ in
            throw DCError(.featureUnsupported)
        }
    ) {
        self.isSupported = isSupported
        self.generateKey = generateKey
        self.attestKey = attestKey
        self.generateAssertion = generateAssertion
    }
}

/// Not `Sendable`, as Apple's is not.
public final class DCAppAttestService {
    public static var shared: DCAppAttestService { DCAppAttestService() }

    public var isSupported: Bool { AppAttestScript.current.isSupported }

    public func generateKey() async throws -> String { try await AppAttestScript.current.generateKey() }

    public func attestKey(_ keyId: String, clientDataHash: Data) async throws -> Data {
        try await AppAttestScript.current.attestKey(keyId, clientDataHash)
    }

    public func generateAssertion(_ keyId: String, clientDataHash: Data) async throws -> Data {
        try await AppAttestScript.current.generateAssertion(keyId, clientDataHash)
    }
}
