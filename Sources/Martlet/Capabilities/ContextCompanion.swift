package import MartletWire
import Synchronization

/// What another module of ours has for each context: there is one of them at most.
///
/// Its type is found by its name: a value that an agent decodes may need it before any code of that module has run there,
/// and a program without that module pays nothing.
package protocol ContextCompanion: CBORUserInfoSource {
    init(_ runtime: ContextRuntime)
}

extension ContextRuntime {
    private static let companionType = _typeByName("13MartletActors18MartletActorSystemC") as? any ContextCompanion.Type

    /// The context's companion, made when it is first asked for; `nil` if the program has no such module.
    package var companion: (any ContextCompanion)? {
        guard let type = Self.companionType else { return nil }
        return companions.withLock { companion in
            if companion == nil { companion = type.init(self) }
            return companion
        }
    }

    /// Decodes what came from another context, with all that values of other modules look for.
    var decoder: CBORDecoder {
        var decoder = CBORDecoder()
        decoder.userInfoSource = self
        return decoder
    }
}

extension Controller {
    package var actorRuntime: ContextRuntime { runtime }
}

extension RemoteContext {
    package var actorRuntime: ContextRuntime { scope.runtime }
}

extension ContextRuntime: CBORUserInfoSource {
    package var userInfo: [CodingUserInfoKey: any Sendable] { companion?.userInfo ?? [:] }
}
