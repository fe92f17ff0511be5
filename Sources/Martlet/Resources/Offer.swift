/// What starts contexts, and may offer them something.
package protocol ResourceOffering {
    /// Lets contexts that show the token fetch what the provider has, as long as this process is a context. This process
    /// offers it, whatever the context below.
    ///
    /// - Parameter isCurrent: whether one that was offered before will do.
    func offer<Provider: ResourceProvider>(
        _ isCurrent: (Provider) -> Bool, make: () -> Provider
    ) -> (token: [UInt8], provider: Provider)
}

extension Controller: ResourceOffering {
    package func offer<Provider: ResourceProvider>(
        _ isCurrent: (Provider) -> Bool, make: () -> Provider
    ) -> (token: [UInt8], provider: Provider) { runtime.resources.offer(isCurrent, make: make) }
}

extension Context: ResourceOffering {
    package func offer<Provider: ResourceProvider>(
        _ isCurrent: (Provider) -> Bool, make: () -> Provider
    ) -> (token: [UInt8], provider: Provider) { runtime.resources.offer(isCurrent, make: make) }
}
