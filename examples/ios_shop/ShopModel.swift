import Bonafide
import Foundation
import SwiftUI

/// What the views show, and what the user can do.
@MainActor
final class ShopModel: ObservableObject {
    @Published private(set) var config: ShopConfig?
    @Published private(set) var switches = ShopSwitches.none
    /// For the view that shows where the shops are. In memory only, as the secret that it is.
    @Published private(set) var mapKey: String?
    @Published private(set) var profile: Profile?
    @Published private(set) var orders: [Order] = []
    @Published private(set) var isBusy = false
    @Published var message: String?

    private let api: ShopAPI
    private let keys: ShopKeys
    /// In memory only: this sample logs in at each start. A real app keeps it in the Keychain.
    private var token: String?

    init(api: ShopAPI) {
        self.api = api
        keys = ShopKeys(bonafide: api.bonafide)
    }

    /// Enrols while the user looks at the first screen, and fetches what that screen shows.
    func start() async {
        try? await api.bonafide.prepare()  // where it fails, the next request tries again, and says why
        await attempt { self.config = try await self.api.config() }
        switches = (try? await api.switches()) ?? .none  // the shop is open without them
    }

    /// Fetches what the map of the shops wants, when the user opens it.
    func openMap() async {
        await attempt { self.mapKey = try await self.keys.map() }
    }

    func logIn(name: String, password: String) async {
        await attempt {
            let login = try await self.api.logIn(name: name, password: password)
            self.token = login.token
            self.profile = try await self.api.profile(login.token)
            self.orders = try await self.api.orders(login.token)
        }
    }

    func place(_ order: NewOrder) async {
        guard let token else { return }
        await attempt {
            do {
                _ = try await self.api.place(order, token)
            } catch BonafideError.outcomeUnknown(let action) {
                self.orders = try await self.api.orders(token)  // the user sees whether it is there
                throw BonafideError.outcomeUnknown(action)
            }
            self.orders = try await self.api.orders(token)
        }
    }

    private func attempt(_ work: @MainActor () async throws -> Void) async {
        guard !isBusy else { return }
        isBusy = true
        defer { isBusy = false }
        do {
            message = nil
            try await work()
        } catch is CancellationError {
            return
        } catch URLError.cancelled {
            return
        } catch ShopError.notLoggedIn {
            token = nil
            profile = nil
            message = text(for: ShopError.notLoggedIn)
        } catch {
            message = text(for: error)
        }
    }
}
