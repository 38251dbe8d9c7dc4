"""What OPC UA's status codes mean to the person who has to do something about them."""

from asyncua import ua
from asyncua.ua.uaerrors import UaStatusCodeError

NODE = {
    "BadNodeIdUnknown": "the server has no such node",
    "BadNodeIdInvalid": "the server does not understand the node's name",
    "BadAttributeIdInvalid": "the node holds no value",
    "BadNotReadable": "the node can't be read",
    "BadNotWritable": "the node can't be written",
    "BadWriteNotSupported": "the node can't be written",
    "BadUserAccessDenied": "the user may not do this",
    "BadTypeMismatch": "the node holds another type",
    "BadOutOfRange": "the value is out of the device's range",
    "BadWaitingForInitialData": "the server has no value yet",
    "BadNoData": "the server has no value",
    "BadNoCommunication": "the server has lost the thing behind it",
    "BadNotConnected": "the server has lost the thing behind it",
    "BadCommunicationError": "the server has lost the thing behind it",
    "BadSensorFailure": "the sensor has failed",
    "BadDeviceFailure": "the device has failed",
    "BadOutOfService": "is out of service",
    "BadConfigurationError": "the server is set up wrongly",
    "BadNotSupported": "the server does not support this",
    "BadDataLost": "the server has lost the value",
    "UncertainLastUsableValue": "is the last value before the server lost it",
    "UncertainNoCommunicationLastUsableValue": "is the last value before the server lost it",
    "UncertainInitialValue": "is only an initial value",
    "UncertainSubstituteValue": "is put in by hand",
    "UncertainSensorNotAccurate": "the sensor is not accurate",
}

USER = {
    "BadUserAccessDenied": "user name or password is refused",
    "BadIdentityTokenRejected": "user name or password is refused",
    "BadIdentityTokenInvalid": "this way of saying who we are is refused",
    "BadUserSignatureInvalid": "user name or password is refused",
}

BUSY = {
    "BadTooManySessions": "the server has no session left for us",
    "BadTcpServerTooBusy": "the server is too busy",
    "BadServerTooBusy": "the server is too busy",
    "BadTooManyOperations": "the server takes fewer nodes at once",
    "BadTcpNotEnoughResources": "the server has no resources left",
    "BadOutOfMemory": "the server has no memory left",
    "BadServerHalted": "the server is halted",
    "BadShutdown": "the server shuts down",
    "BadTimeout": "the server gave up waiting for itself",
    "BadRequestTimeout": "the server gave up waiting for itself",
    "BadSessionIdInvalid": "the server has forgotten our session",
    "BadSessionClosed": "the server has closed our session",
    "BadSecureChannelClosed": "the server has closed the channel",
    "BadSecureChannelIdInvalid": "the server has forgotten our channel",
    "BadSecureChannelTokenUnknown": "the server has forgotten our channel",
    "BadConnectionClosed": "the server has closed the connection",
}

ENTRY = {
    "BadCertificateUriInvalid": "the application URI in our certificate is not the one that we gave",
    "BadCertificateTimeInvalid": "the server takes our certificate for expired or not yet valid: compare the clocks",
    "BadCertificateUseNotAllowed": "our certificate lacks a key usage that the server demands",
    "BadCertificateRevoked": "our certificate is revoked there",
    "BadTcpEndpointUrlInvalid": "the server has no endpoint of that path",
}


def name_of(failed: BaseException) -> str:
    """Return the name of the status code that an error carries, empty for other errors."""
    return ua.StatusCode(ua.UInt32(failed.code)).name if isinstance(failed, UaStatusCodeError) else ""


def in_brackets(words: dict[str, str], name: str) -> str:
    """Return what a status means, followed by its name; the name alone where we have no words for it."""
    return f"{words[name]} ({name})" if name in words else name
