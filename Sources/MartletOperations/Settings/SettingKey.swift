/// Names a setting and the type of its value. A program may have settings of its own:
///
///     enum Region: SettingKey { typealias Value = String }
///     try await withSettings(.set(Region.self, to: "eu")) { print(Settings.current[Region.self] ?? "none") }
public protocol SettingKey: SendableMetatype {
    /// What the setting holds.
    associatedtype Value: Sendable
}
