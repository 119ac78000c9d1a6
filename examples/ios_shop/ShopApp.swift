import SwiftUI

@main
struct ShopApp: App {
    @StateObject private var model = ShopModel(
        api: ShopAPI(bonafide: ShopService.bonafide, origin: ShopService.origin))

    var body: some Scene {
        WindowGroup {
            NavigationView {
                Group {
                    if model.profile == nil { LoginView() } else { ShopView() }
                }
                .navigationTitle("Shop")
            }
            .environmentObject(model)
            .task { await model.start() }
        }
    }
}
