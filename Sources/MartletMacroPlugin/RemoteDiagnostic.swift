import SwiftDiagnostics
import SwiftSyntax

/// Why a function cannot be called in another context, and what to do.
enum RemoteDiagnostic: DiagnosticMessage {
    case noFunction
    case localFunction
    case instanceMethod
    case protocolRequirement
    case hidden(String)
    case hiddenType(String)
    case generic
    case genericType(String)
    case opaque
    case existential(String)
    case tuple
    case closure
    case metatype
    case selfType
    case inOut
    case variadic
    case specifier(String)
    case contextNotFirst
    case overloadNumber

    var severity: DiagnosticSeverity { .error }

    var diagnosticID: MessageID { MessageID(domain: "MartletMacros", id: name) }

    private var name: String { String("\(self)".prefix { $0 != "(" }) }

    var message: String {
        switch self {
        case .noFunction: "@Remote goes on functions: free ones and static methods"
        case .localFunction:
            "a function inside of another cannot be called in another context, which finds it by its name; declare it outside"
        case .instanceMethod:
            "an instance method cannot be called in another context, which has no instance; make it static and pass what it needs, or use a distributed actor"
        case .protocolRequirement:
            "a requirement of a protocol has nothing to call; put @Remote on the functions of the types that conform"
        case .hidden(let word):
            "a \(word) function cannot be called in another context, which finds it by its name; make it internal"
        case .hiddenType(let name):
            "what is in '\(name)', which is private, cannot be called in another context, which finds it by its name; make '\(name)' internal"
        case .generic:
            "a generic function cannot be called in another context; write one for each type, or a generic RemoteTask"
        case .genericType(let name):
            "what is in the generic type '\(name)' cannot be called in another context; move it out, or write a generic RemoteTask"
        case .opaque: "'some' does not say which type is sent; write the type itself"
        case .existential(let type):
            "'\(type)' cannot be sent: no protocol is Codable itself; use a type that is, such as an enum"
        case .tuple: "a tuple cannot be sent, as it is not Codable; use a struct that is"
        case .closure: "a closure cannot be sent: code is not a value; pass what it would decide on, or a channel"
        case .metatype: "a type cannot be sent; write one function for each"
        case .selfType: "'Self' would be another type in what @Remote makes; write the type's name"
        case .inOut: "'inout' cannot reach another context's values; return the new value"
        case .variadic: "a variadic parameter cannot be passed on; take an array"
        case .specifier(let word): "'\(word)' cannot be kept between contexts; leave it out"
        case .contextNotFirst: "a RemoteContext is the function's first parameter, or none"
        case .overloadNumber: "overload: takes a number from 2 to 9, written out"
        }
    }

    func at(_ node: some SyntaxProtocol, fixIts: [FixIt] = []) -> Diagnostic {
        Diagnostic(node: node, message: self, fixIts: fixIts)
    }
}

/// What a fix-it does.
struct RemoteFix: FixItMessage {
    var message: String
    var fixItID: MessageID { MessageID(domain: "MartletMacros", id: message) }
}

extension FixIt {
    init(_ message: String, replace old: some SyntaxProtocol, with new: some SyntaxProtocol) {
        self.init(message: RemoteFix(message: message), changes: [.replace(oldNode: Syntax(old), newNode: Syntax(new))])
    }
}
