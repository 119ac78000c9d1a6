import SwiftUI

struct ShopView: View {
    @EnvironmentObject private var model: ShopModel

    var body: some View {
        List {
            if let profile = model.profile {
                Section("You") {
                    Text(profile.name)
                    Text(profile.email)
                    Text(profile.address)
                }
            }
            Section("Orders") {
                ForEach(model.orders) { order in
                    Text("\(order.quantity) × \(order.item)")
                }
                Button("Order an abacus") {
                    Task { await model.place(NewOrder(item: "abacus", quantity: 1)) }
                }
                .disabled(model.isBusy)
            }
            MessageSection()
        }
    }
}
