/// A context in another root directory, by `chroot`. Needs root.
public struct ChrootConnector: Connector {
    /// The directory that is the root there.
    public var directory: String
    /// A name or number that is known there; `user:group` as well. Default: ours.
    public var user: String?
    /// The chroot program. Default: `chroot`, found in `PATH`.
    public var program = "chroot"

    /// The root directory `directory`.
    public init(_ directory: String, user: String? = nil) {
        self.directory = directory
        self.user = user
    }

    /// `chroot:/srv/debian`.
    public var label: String { "chroot:" + PlainName.joined(user, directory) }

    /// The chroot command.
    public func launch(_ bootstrap: Bootstrap) throws -> Launch {
        try PlainName.check(directory, "directory")
        try PlainName.check(user, "user")
        let spec = user.map { ["--userspec=\($0)"] } ?? []
        return .shell([program] + spec + [directory] + bootstrap.command)
    }

    /// chroot's own words, understood.
    public func diagnose(_ failure: ConnectorFailure) -> MartletError? {
        Symptom.error(
            failure,
            [
                .noShell(["failed to run command", "can't execute"], directory),
                Symptom(
                    ["Operation not permitted"], .authenticationFailed, "only root may change the root directory",
                    "go in as root: sudo first, then chroot; or with a user namespace: unshare"),
                Symptom(
                    ["invalid user", "invalid group", "invalid spec"], .connectorFailed,
                    "there is no user \(user ?? "") in \(directory)"),
                Symptom(["No such file", "Not a directory"], .unreachable, "there is no directory \(directory)"),
            ])
    }
}

extension ChrootConnector {
    /// `chroot:/srv/debian`.
    public static let kind = ConnectorKind(
        "chroot",
        "another root directory",
        argument: .required("directory"),
        options: [.text("user", \.user, "whose rights it has there"), .program("chroot", \.program)]
    ) { spec throws(SpecError) in
        ChrootConnector(try spec.name("directory"))
    } written: {
        $0.directory
    }
}

extension Connector where Self == ChrootConnector {
    /// A context in another root directory. See ``ChrootConnector``.
    public static func chroot(_ directory: String, user: String? = nil) -> ChrootConnector {
        ChrootConnector(directory, user: user)
    }
}
