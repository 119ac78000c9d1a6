public import BonafideCore
public import Foundation

/// What the service keeps for apps: secrets, configuration, pins.
extension Bonafide {
    /// Asks for this install's secrets: API keys of others and the like, which the app then does not carry.
    ///
    /// One request with a hardware proof. They are in memory and nowhere else, so keep the value as long as it is
    /// needed, and ask again when it has ended (`expires`). Throws `BonafideError`: `.refused` where this device is
    /// given none, `.answerRefused` for whatever is not the service's answer to this very request.
    public func secrets() async throws -> AppSecrets { try await ready().client.secrets() }

    /// Asks for the values that the operator sets for apps in the field.
    ///
    /// One request. No shared part is taken that is older than one that this install has taken, across starts. Throws
    /// as `secrets`.
    public func configuration() async throws -> RemoteConfiguration {
        try await ready().client.remoteConfiguration()
    }

    /// Asks for the newest pin document. Returns whether another one than before holds from now on.
    ///
    /// It holds for every connection that is opened from then on, in this process at once and in others at their next
    /// start; `Options.pins` is what a fresh install begins with. Throws as `secrets`, and then the pins that hold
    /// stay: whoever keeps an answer back keeps the old ones, until they end.
    @discardableResult public func refreshPins() async throws -> Bool {
        let client = try ready().client
        return hold(try await client.pins(holding: pins.held))
    }

    /// Refreshes the pins that hold beside the app, where the service has not been asked for a day. Without any,
    /// nothing is asked. A failure is borne: the old ones hold, and the next `prepare` tries again.
    func refreshPinsWhereDue(_ client: Client) {
        guard pins.held != nil,
            pinsAreAsked.withLock({ isAsked in
                defer { isAsked = true }
                return !isAsked
            })
        else { return }
        Task {
            defer { pinsAreAsked.withLock { $0 = false } }
            guard let newest = try? await client.pinsWhereDue(holding: pins.held) else { return }
            hold(newest)
        }
    }

    /// Connections that are open were judged by the pins from before.
    @discardableResult private func hold(_ newest: PinDocument) -> Bool {
        let isNew = pins.hold(newest)
        if isNew { courier.closeConnections() }
        return isNew
    }
}

extension AppSecrets {
    /// Until when the operator wants them used before the app asks again.
    public var expires: Date { Date(timeIntervalSince1970: Double(expiresAt)) }
}

extension RemoteConfiguration.Values {
    /// Until when the operator wants them used before the app asks again.
    public var expires: Date { Date(timeIntervalSince1970: Double(expiresAt)) }

    /// The values as a type of the app's own. Throws `DecodingError`, as `JSONDecoder` does.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self, by decoder: JSONDecoder = JSONDecoder())
        throws
        -> Value
    {
        try decoder.decode(type, from: Data(json.octets))
    }
}
