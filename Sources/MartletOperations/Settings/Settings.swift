/// What holds for operations here: task-local values by their keys.
///
/// Nothing is set by itself. An operation takes what it needs from its own declaration, unless the settings have it, unless
/// its argument has it; so every operation does. There is nothing global: see ``withSettings(_:isolation:_:)``.
public struct Settings: Sendable {
    @TaskLocal static var local = Settings()

    private var values: [ObjectIdentifier: any Sendable] = [:]

    /// What holds where this is read.
    public static var current: Settings { local }

    /// Nothing is set.
    public init() {}

    /// The value of a setting; `nil`: it is not set.
    public subscript<Key: SettingKey>(_ key: Key.Type) -> Key.Value? {
        get { values[ObjectIdentifier(key)] as? Key.Value }
        set { values[ObjectIdentifier(key)] = newValue }
    }

    /// These settings, with others on top.
    public func applying(_ settings: [Setting]) -> Settings {
        guard !settings.isEmpty else { return self }
        var result = self
        for setting in settings { setting.apply(&result) }
        return result
    }
}
