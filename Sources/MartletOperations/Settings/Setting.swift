/// One change of the settings: for a scope (``withSettings(_:isolation:_:)``), or for one operation as its argument.
///
///     try await withSettings(.host("web1"), .warnOnly) {
///         try await remote("systemctl stop nginx", .timeout(.seconds(20)))
///     }
public struct Setting: Sendable {
    let apply: @Sendable (inout Settings) -> Void

    /// Any change. It sees what is set outside of it.
    public init(_ apply: @escaping @Sendable (inout Settings) -> Void) { self.apply = apply }

    /// Gives a setting a value, or with `nil` removes it.
    public static func set<Key: SettingKey>(_ key: Key.Type, to value: Key.Value?) -> Setting {
        Setting { $0[key] = value }
    }

    /// Several as one, in their order.
    public static func all(_ settings: [Setting]) -> Setting {
        Setting { $0 = $0.applying(settings) }
    }
}
